-- breaking: no
-- Alerting systems that deliver with a signature or a token of their own, and alerts that nobody could decide.

create table alert_sources (
  id text primary key,
  name text not null,
  kind text not null,
  settings jsonb not null default '{}',
  -- Migrations that it may speak for; null: all.
  migrations text[],
  created_at timestamptz not null,
  created_by text not null,
  last_used_at timestamptz,
  revoked_at timestamptz
);
create unique index alert_sources_name on alert_sources (name) where revoked_at is null;

create table alert_source_secrets (
  id text primary key,
  source text not null references alert_sources (id) on delete cascade,
  -- A hash where that is enough (bearer), else sealed with a key that is not in the store.
  kind text not null check (kind in ('hash', 'sealed')),
  value text not null,
  created_at timestamptz not null,
  created_by text not null
);
create index alert_source_secrets_source on alert_source_secrets (source, created_at);

alter table alerts drop constraint alerts_status_check;
alter table alerts add constraint alerts_status_check check (status in ('received', 'decided', 'dead'));
alter table alerts add column attempts int not null default 0;
alter table alerts add column next_at timestamptz;
alter table alerts add column error text;
-- Of a delivery that could not be read: as it came, so that it can be read again.
alter table alerts add column raw bytea;
alter table alerts add column headers jsonb;
