-- expect: add-column-default at 2:58
alter table users add column token uuid not null default gen_random_uuid();
