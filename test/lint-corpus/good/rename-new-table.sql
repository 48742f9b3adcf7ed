-- expect: nothing
create table shops (id bigint, title text);
alter table shops rename column title to name;
alter table shops rename to stores;
create index on stores (name);
