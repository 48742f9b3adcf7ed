-- expect: nothing
create table shops (id bigint primary key, name text);
alter table shops add column token uuid not null default gen_random_uuid();
alter table shops alter column name set not null;
alter table shops alter column name type text;
