-- expect: add-column-default at 2:49
alter table users add column token uuid default gen_random_uuid();
