-- expect: nothing
create unique index concurrently orders_once on orders (user_id, status, total, created_at);
