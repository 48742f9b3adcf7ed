-- expect: timestamp-without-zone at 2:55
create table trips (id bigint primary key, started_at timestamp(3) without time zone);
