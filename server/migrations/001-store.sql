-- breaking: no
-- The metadata of Switchback itself. Everything that a server must still know after a crash is here.

create table head (
  single boolean primary key default true check (single),
  revision bigint not null default 0,
  audit_hash text not null default repeat('0', 64)
);
comment on table head is 'One row. Every change takes its lock, so revisions and audit events are in commit order.';
insert into head default values;

create table audit_events (
  revision bigint primary key,
  at timestamptz not null,
  actor text not null,
  kind text not null,
  subject text,
  -- json, not jsonb: the hash covers this very text
  detail json not null default '{}',
  previous_hash text not null,
  hash text not null
);
create index audit_events_subject on audit_events (subject, revision desc);

create table migrations (
  id text primary key,
  definition jsonb not null,
  source text not null,
  sql jsonb not null,
  checksum text not null,
  state jsonb not null,
  revision bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

create table works (
  migration text not null references migrations (id) on delete cascade,
  kind text not null,
  epoch bigint not null,
  status text not null,
  progress jsonb not null default '{}',
  result jsonb,
  error text,
  started_at timestamptz not null,
  updated_at timestamptz not null,
  ended_at timestamptz,
  primary key (migration, kind, epoch)
);

create table flags (
  key text primary key,
  definition jsonb not null,
  revision bigint not null,
  updated_at timestamptz not null
);

create table removals (
  kind text not null check (kind in ('migration', 'flag')),
  key text not null,
  revision bigint not null,
  primary key (kind, key)
);

create table instances (
  id text primary key,
  incarnation text not null,
  app text not null,
  version text not null,
  server text not null,
  on_lease_expired text not null check (on_lease_expired in ('hold', 'stop')),
  registered_at timestamptz not null,
  last_seen timestamptz not null,
  lease_until timestamptz not null
);

create table instance_positions (
  instance text not null references instances (id) on delete cascade,
  migration text not null,
  handlers text[] not null,
  fenced boolean not null,
  applied bigint not null default 0,
  drained bigint not null default 0,
  oldest jsonb,
  primary key (instance, migration)
);
create index instance_positions_migration on instance_positions (migration);

create table tokens (
  id text primary key,
  name text not null,
  role text not null check (role in ('viewer', 'operator', 'approver', 'admin', 'sdk', 'alert')),
  hash text not null unique,
  migrations text[],
  created_at timestamptz not null,
  created_by text not null,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);

create table alerts (
  id text primary key,
  source text not null,
  dedup_key text not null,
  token text,
  received_at timestamptz not null,
  signal jsonb not null,
  status text not null default 'received' check (status in ('received', 'decided')),
  migration text,
  action text,
  reason text,
  explanation text,
  incident text,
  duplicates int not null default 0,
  decided_at timestamptz,
  unique (source, dedup_key)
);
create index alerts_open on alerts (received_at) where status = 'received';

create table incidents (
  id text primary key,
  migration text not null,
  status text not null check (status in ('open', 'resolved')),
  title text not null,
  cause jsonb not null,
  from_phase text not null,
  to_phase text not null,
  from_epoch bigint not null,
  to_epoch bigint not null,
  opened_at timestamptz not null,
  committed_at timestamptz,
  first_ack_at timestamptz,
  last_ack_at timestamptz,
  resolved_at timestamptz,
  unique (migration, from_epoch)
);

create table incident_events (
  incident text not null references incidents (id) on delete cascade,
  seq bigint generated always as identity,
  at timestamptz not null,
  kind text not null,
  message text not null,
  detail jsonb not null default '{}',
  primary key (incident, seq)
);
