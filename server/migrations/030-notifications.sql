-- breaking: no
-- Who is told of what happens, and whether somebody has taken it up.

create table channels (
  id text primary key,
  name text not null unique,
  kind text not null,
  settings jsonb not null default '{}',
  -- Sealed with a key that is not in the store.
  secret text not null,
  -- Kinds of notices; null: all.
  events text[],
  -- Null: all.
  migrations text[],
  created_at timestamptz not null,
  created_by text not null
);

create table notifications (
  id text primary key,
  -- What is told, to whom, once.
  key text not null unique,
  channel text not null references channels (id) on delete cascade,
  recipient text,
  notice jsonb not null,
  incident text,
  status text not null default 'pending' check (status in ('pending', 'sent', 'failed')),
  attempts int not null default 0,
  next_at timestamptz not null,
  error text,
  created_at timestamptz not null,
  sent_at timestamptz
);
create index notifications_due on notifications (next_at) where status = 'pending';
create index notifications_newest on notifications (created_at desc, id desc);

create table escalations (
  incident text primary key references incidents (id) on delete cascade,
  contacts text[] not null,
  pause_ms bigint not null,
  level int not null default 0,
  notice jsonb not null,
  next_at timestamptz,
  ended_at timestamptz
);
create index escalations_due on escalations (next_at) where ended_at is null;

alter table incidents add column acked_at timestamptz;
alter table incidents add column acked_by text;
-- When what caused it began, where that is known.
alter table incidents add column began_at timestamptz;

alter table incident_events add column noticed boolean not null default false;
update incident_events set noticed = true;
create index incident_events_unnoticed on incident_events (seq) where not noticed;

create table notice_cursor (
  single boolean primary key default true check (single),
  revision bigint not null
);
comment on table notice_cursor is 'Up to which revision the audit log was looked through for what is to be told.';
insert into notice_cursor (revision) select revision from head;
