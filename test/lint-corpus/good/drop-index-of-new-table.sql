-- expect: nothing
create table shops (name text);
create index shops_name_idx on shops (name);
drop index shops_name_idx;
