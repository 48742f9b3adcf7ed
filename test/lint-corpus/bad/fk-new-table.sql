-- expect: foreign-key-without-index at 2:60
create table shops (id bigint primary key, owner_id bigint references users (id));
