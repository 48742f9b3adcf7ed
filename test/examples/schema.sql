-- Tables of BimRide as the examples find them, with rows.
create type ride_status as enum ('asked', 'driving', 'done');
create table users (
  id bigint generated always as identity primary key, name text not null,
  language text not null default 'bn', newsletter boolean not null default false
);
create table drivers (
  id bigint generated always as identity primary key, name text, phone text, licence text
);
create table rides (
  id bigint generated always as identity primary key, user_id bigint not null, driver_id bigint,
  status ride_status not null default 'asked', price numeric(12, 2)
);
create table payments (
  id serial primary key, ride_id bigint not null, amount numeric(12, 2) not null, paid_at timestamptz not null
);
create table positions (
  id bigint primary key, seen_at timestamptz not null, driver_id bigint not null, place point not null
);
insert into users (name, language, newsletter)
  select 'user ' || i, (array['bn', 'en', 'é'])[1 + i % 3], i % 2 = 0 from generate_series(1, 500) i;
insert into drivers (name, phone, licence)
  select 'driver ' || i, case when i % 7 > 0 then '+880 17' || i end, 'DHK-' || i from generate_series(1, 100) i;
insert into rides (user_id, driver_id, status, price)
  select 1 + i % 500, case when i % 5 > 0 then 1 + i % 100 end, 'done', i / 3.0 from generate_series(1, 1000) i;
insert into payments (ride_id, amount, paid_at)
  select i, i / 3.0, timestamptz '2026-11-01' + i * interval '1 minute' from generate_series(1, 1000) i;
insert into positions
  select i, timestamptz '2026-09-20' + i * interval '2 hours', 1 + i % 100, point(i / 10.0, -i / 10.0)
  from generate_series(1, 1000) i;
create table sessions (id uuid primary key, user_id bigint not null, payload jsonb not null, seen_at timestamptz not null);
insert into sessions
  select md5(i::text)::uuid, 1 + i % 500, jsonb_build_object('n', i), timestamptz '2026-11-01' + i * interval '1 second'
  from generate_series(1, 1000) i;
