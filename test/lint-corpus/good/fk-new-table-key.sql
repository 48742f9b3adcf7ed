-- expect: nothing
create table profiles (user_id bigint primary key references users (id), bio text);
