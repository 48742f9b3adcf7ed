-- expect: unused-waiver at 3:1
-- expect: create-index at 4:1
-- switchback:allow create-indexes because the table is small
create index orders_user_id_idx on orders (user_id);
