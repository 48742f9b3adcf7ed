-- expect: rename-column at 2:1
alter view active_users rename column name to label;
