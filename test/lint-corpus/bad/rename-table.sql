-- expect: rename-table at 2:1
alter table users rename to people;
