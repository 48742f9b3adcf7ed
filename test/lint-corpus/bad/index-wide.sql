-- expect: wide-index at 2:1
create index concurrently orders_wide_idx on orders (user_id, status, total, created_at);
