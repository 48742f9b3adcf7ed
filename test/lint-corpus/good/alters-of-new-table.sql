-- expect: nothing
create table shops (id bigint);
alter table shops add column a text;
alter table shops add column b text;
