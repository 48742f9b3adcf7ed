-- expect: small-key at 2:24
create table trips (id int primary key);
