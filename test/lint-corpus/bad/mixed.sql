-- expect: mixed-transaction at 2:1
create index concurrently orders_user_id_idx on orders (user_id);
alter table users add column region text;
