-- expect: unnamed-concurrent-index at 2:1
create index concurrently on orders (user_id);
