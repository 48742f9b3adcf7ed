-- expect: nothing
alter table orders add column region text;
create index concurrently orders_region_idx on orders (region);
