-- expect: drop-column at 2:29
alter table if exists users drop if exists nickname;
