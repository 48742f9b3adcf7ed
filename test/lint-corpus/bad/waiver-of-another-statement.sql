-- expect: create-index at 4:1
-- switchback:allow create-index because the table is small
create index orders_a_idx on orders (user_id);
create index orders_b_idx on orders (reviewer_id);
