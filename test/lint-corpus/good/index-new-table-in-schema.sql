-- expect: nothing
create table public.shops (id bigint primary key, name text);
create index on shops (name);
