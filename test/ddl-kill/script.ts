/** What is there before: enough rows for a statement to take a while. */
export const BEFORE = `
  create table rides (id bigint generated always as identity primary key, rider int not null, note text);
  insert into rides (rider, note) select i % 1000, md5(i::text) from generate_series(1, 40000) i;
  create index rides_note on rides (note);
  create index rides_old on rides (rider, note);
  create table riders (id int primary key);
  insert into riders select i from generate_series(0, 999) i;
  create table days (day int not null, n int) partition by range (day);
  create table days_1 partition of days for values from (0) to (10);
  create table days_2 partition of days for values from (10) to (20);
  insert into days select i % 20, i from generate_series(1, 2000) i;`

/** One statement of each kind that the executor treats in its own way, with some that must not be done twice. */
export const EXPAND = `
  create table audit (n int);
  insert into audit values (1);
  alter table rides add column region text default 'dhaka';
  create index concurrently rides_rider on rides (rider);
  update rides set note = note || '!' where id % 2 = 0;
  create unique index concurrently rides_id_note on rides (id, note);
  alter table rides add constraint rides_rider_known foreign key (rider) references riders (id) not valid;
  alter table rides validate constraint rides_rider_known;
  drop index concurrently rides_old;
  reindex index concurrently rides_note;
  alter table days detach partition days_1 concurrently;
  vacuum (analyze) rides;
  insert into audit select count(*) from rides where region = 'dhaka';
  create type mood as enum ('sad');
  alter type mood add value 'happy';
  alter table rides alter column region set not null`

export const STATEMENTS = 16
