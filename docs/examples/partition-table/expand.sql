create table positions_by_month (
  id bigint not null,
  seen_at timestamptz not null,
  driver_id bigint not null,
  place point not null,
  -- The key of a partitioned table holds what it is partitioned by.
  primary key (id, seen_at)
) partition by range (seen_at);
create table positions_2026_10 partition of positions_by_month for values from ('2026-10-01') to ('2026-11-01');
create table positions_2026_11 partition of positions_by_month for values from ('2026-11-01') to ('2026-12-01');
create table positions_2026_12 partition of positions_by_month for values from ('2026-12-01') to ('2027-01-01');
create table positions_other partition of positions_by_month default;
create index positions_by_month_driver on positions_by_month (driver_id, seen_at);
