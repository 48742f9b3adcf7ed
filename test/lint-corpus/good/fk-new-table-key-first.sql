-- expect: nothing
create table members (user_id bigint references users (id), shop_id bigint, primary key (user_id, shop_id));
