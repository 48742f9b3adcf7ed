-- expect: nothing
create table shops (id bigint primary key, name text);
create index shops_name_idx on shops (name);
