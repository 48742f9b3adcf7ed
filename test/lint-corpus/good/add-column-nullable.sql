-- expect: nothing
alter table users add column if not exists region text;
