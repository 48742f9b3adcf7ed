-- expect: small-key at 2:24
create table trips (id smallint generated always as identity);
