-- expect: create-index at 2:1
create index orders_user_id_idx on orders (user_id);
