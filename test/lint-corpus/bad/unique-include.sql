-- expect: add-unique-constraint at 2:23
alter table users add unique (email, name) include (created_at);
