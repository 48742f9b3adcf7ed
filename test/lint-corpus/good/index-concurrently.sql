-- expect: nothing
create index concurrently if not exists orders_user_id_idx on orders (user_id);
