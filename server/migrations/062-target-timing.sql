-- breaking: no
-- Windows and freezes of targets that people set, beside those of the configuration.

create table target_timing (
  target text primary key,
  windows text[] not null,
  freezes text[] not null,
  reason text not null,
  set_at timestamptz not null,
  set_by text not null
);
