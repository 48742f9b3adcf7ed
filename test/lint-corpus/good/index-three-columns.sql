-- expect: nothing
create index concurrently orders_idx on orders (user_id, status, created_at) include (total);
