-- expect: nothing
create table shops (id bigint primary key, owner_id bigint references users (id));
create index shops_owner_id_idx on shops (owner_id);
