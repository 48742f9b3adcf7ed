-- expect: nothing
alter table users add column joined_at timestamptz not null default current_timestamp;
