-- breaking: no
-- The last dry run of each migration, for everybody to look at.

create table dry_runs (
  migration text primary key references migrations (id) on delete cascade,
  -- Of the definition and the files that were run.
  checksum text not null,
  at timestamptz not null,
  by text not null,
  report jsonb not null
);
