-- expect: unused-waiver at 2:1
-- switchback:allow create-index because the table is small
create index concurrently orders_user_id_idx on orders (user_id);
