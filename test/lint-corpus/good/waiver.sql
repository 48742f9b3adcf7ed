-- expect: nothing
-- switchback:allow create-index because the table is small and read only
create index orders_user_id_idx on orders (user_id);
