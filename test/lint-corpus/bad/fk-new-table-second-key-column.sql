-- expect: foreign-key-without-index at 2:54
create table members (shop_id bigint, user_id bigint references users (id), primary key (shop_id, user_id));
