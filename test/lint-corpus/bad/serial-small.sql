-- expect: serial-type at 3:24
-- expect: small-key at 3:24
create table trips (id serial primary key);
