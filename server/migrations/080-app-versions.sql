-- breaking: no
-- What versions of applications can do; outlives their instances, for those who ask before a deployment.

create table app_versions (
  app text not null,
  version text not null,
  -- by migration: {"handlers": ["old", "new"], "fenced": true}
  migrations jsonb not null,
  first_seen timestamptz not null default now(),
  last_seen timestamptz not null default now(),
  primary key (app, version)
);
create index app_versions_last_seen on app_versions (last_seen);
