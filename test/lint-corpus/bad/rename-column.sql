-- expect: rename-column at 2:1
alter table users rename column nickname to nick;
