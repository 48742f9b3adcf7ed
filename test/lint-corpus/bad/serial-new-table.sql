-- expect: serial-type at 2:24
create table trips (id bigserial primary key);
