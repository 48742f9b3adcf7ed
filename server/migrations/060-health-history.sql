-- breaking: no
-- What instances measured, kept for charts: the same on every server, and there after a restart.

-- Ten seconds of one server each, written over and over while they last: a repeated write does no harm.
create table health_slots (
  migration text not null references migrations (id) on delete cascade,
  at timestamptz not null,
  server text not null,
  epoch bigint not null,
  path text not null check (path in ('old', 'new')),
  operations bigint not null,
  failed bigint not null,
  latency bigint[] not null,
  compared bigint not null,
  mismatches bigint not null,
  secondary_failures bigint not null,
  primary key (migration, at, server, epoch, path)
);
create index health_slots_at on health_slots (at);

-- Five minutes of all servers each.
create table health_history (
  migration text not null references migrations (id) on delete cascade,
  at timestamptz not null,
  epoch bigint not null,
  path text not null check (path in ('old', 'new')),
  operations bigint not null,
  failed bigint not null,
  latency bigint[] not null,
  compared bigint not null,
  mismatches bigint not null,
  secondary_failures bigint not null,
  primary key (migration, at, epoch, path)
);
create index health_history_at on health_history (at);

create table health_rolled (
  single boolean primary key default true check (single),
  until timestamptz not null
);
comment on table health_rolled is 'One row. What began before is in health_history.';
insert into health_rolled (until) values ('2000-01-01 00:00:00Z');
