-- breaking: no
-- What the tripwires need beyond the process that evaluates them.

-- What servers were told by instances, for each other and for themselves after a restart. Of worth for minutes
-- only, so a crash of the database may lose it.
create unlogged table telemetry (
  id bigint generated always as identity primary key,
  server text not null,
  at timestamptz not null default clock_timestamp(),
  chunks jsonb not null
);
create index telemetry_at on telemetry (at);

-- One row per time that a tripwire was breached, from its first breach until it was fine again.
create table breaches (
  id bigint generated always as identity primary key,
  migration text not null,
  tripwire text not null,
  epoch bigint not null,
  action text not null,
  reason text not null,
  explanation text not null,
  numbers jsonb not null default '{}',
  incident text,
  began_at timestamptz not null,
  ended_at timestamptz
);
create unique index breaches_open on breaches (migration, tripwire) where ended_at is null;
create index breaches_newest on breaches (migration, id desc);

-- A revert that was asked for by an alert or a tripwire and refused is an incident as well.
alter table incidents add column kind text not null default 'revert' check (kind in ('revert', 'refused'));
create unique index incidents_refused on incidents (migration, from_epoch) where kind = 'refused' and status = 'open';

-- What came of looking whether a revert has helped: nothing as long as nobody has looked.
alter table incidents add column verification jsonb;
-- Whoever verifies holds this long, and another takes it up afterwards.
alter table incidents add column verifying_until timestamptz;
create index incidents_unverified on incidents (opened_at) where verification is null and kind = 'revert';
