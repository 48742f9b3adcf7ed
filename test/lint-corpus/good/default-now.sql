-- expect: nothing
alter table users add column joined_at timestamptz default now();
