-- expect: create-index at 3:1
-- expect: unused-waiver at 3:54
create index orders_user_id_idx on orders (user_id); -- switchback:allow create-index because the table is small
