-- breaking: no
-- When a delivery last came: one that is still being repeated is not old, however long ago it came first.

alter table alerts add column last_at timestamptz;
