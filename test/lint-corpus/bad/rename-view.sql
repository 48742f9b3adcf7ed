-- expect: rename-table at 2:1
alter view active_users rename to people;
