-- expect: create-index at 2:1
create index on orders (user_id);
