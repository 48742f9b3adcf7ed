-- expect: add-column-default at 2:51
alter table users add seen_at timestamptz default clock_timestamp();
