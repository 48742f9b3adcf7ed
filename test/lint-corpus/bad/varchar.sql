-- expect: varchar-limit at 2:50
create table cities (id bigint primary key, name varchar(80) not null);
