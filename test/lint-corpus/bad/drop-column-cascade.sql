-- expect: drop-column at 3:19
-- expect: drop-cascade at 3:36
alter table users drop column name cascade;
