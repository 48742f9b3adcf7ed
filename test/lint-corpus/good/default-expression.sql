-- expect: nothing
alter table users add column until timestamptz default (now() + interval '1 day');
