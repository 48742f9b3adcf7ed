-- expect: small-key at 2:24
create table trips (id integer, name text, constraint trips_key primary key (id));
