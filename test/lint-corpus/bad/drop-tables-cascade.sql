-- expect: drop-table at 3:1
-- expect: drop-cascade at 3:36
drop table if exists users, orders cascade;
