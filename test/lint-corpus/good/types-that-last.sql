-- expect: nothing
create table trips (id bigint generated always as identity primary key, code text, name varchar, at timestamptz, on_day date, notes jsonb, seats int, fare numeric(10, 2));
