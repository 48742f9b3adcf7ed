-- What Switchback keeps in a target database: repairs and checkpoints must commit with the rows that they
-- speak of, and the fence must be where the writes are. Repeatable; run under the installer's lock.
create schema if not exists switchback;

create table if not exists switchback.fences (
  migration text primary key,
  -- Epochs below this are proven to be out of use: their keys were taken exclusively once.
  passed bigint not null default 0
);
-- The newest state of the migration, so that a store that was restored from a backup can be told of what it
-- has forgotten.
alter table switchback.fences add column if not exists seen bigint not null default 0;
alter table switchback.fences add column if not exists state jsonb;

create table if not exists switchback.repairs (
  migration text not null,
  key text not null,
  -- The path that is behind.
  path text not null check (path in ('old', 'new')),
  epoch bigint not null,
  reason text not null,
  queued_at timestamptz not null default clock_timestamp(),
  attempts int not null default 0,
  last_error text,
  -- The row was missing and has been copied: a delete with an older snapshot cannot have seen it, so the
  -- key is looked at once more when every transaction from before this one is gone.
  copied boolean not null default false,
  settles_after xid8,
  primary key (migration, key, path)
);
-- Both paths of a key are never behind at once: neither could be copied from. An index and not a question,
-- because a question asked with an older snapshot does not see what was queued since.
create unique index if not exists repairs_one_path on switchback.repairs (migration, key);

-- Independent mode: the other path of a key is about to be written in another database. Written in the
-- transaction of the leading path, removed when the second write has been committed; what is left over is
-- turned into a repair.
create table if not exists switchback.intents (
  token uuid primary key,
  migration text not null,
  key text not null,
  -- The path that is written second, and may be behind.
  path text not null check (path in ('old', 'new')),
  epoch bigint not null,
  written_at timestamptz not null default clock_timestamp()
);
create index if not exists intents_key on switchback.intents (migration, key);

-- The lock of one key. Dual operations, repairs and second looks of verification take it.
create or replace function switchback.lock_key(p_migration text, p_key text) returns void
language sql volatile as $$
  select pg_advisory_xact_lock(hashtextextended(p_migration || chr(31) || p_key, 7305))
$$;

create or replace function switchback.queue_repair(
  p_migration text, p_key text, p_path text, p_epoch bigint, p_reason text
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into switchback.repairs (migration, key, path, epoch, reason)
  values (p_migration, p_key, p_path, p_epoch, left(p_reason, 1000))
  on conflict (migration, key) do update
    set epoch = excluded.epoch, reason = excluded.reason, queued_at = excluded.queued_at, last_error = null,
        copied = false, settles_after = null
    where repairs.path = excluded.path;
  -- Both paths behind for one key: neither could be copied from. The write must fail instead.
  if not found then
    raise exception using
      errcode = 'SB002',
      message = format('key %s of %s waits for repair of the other path', p_key, p_migration);
  end if;
end
$$;

create or replace function switchback.repair_open(p_migration text, p_key text, p_path text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from switchback.repairs where migration = p_migration and key = p_key and path = p_path
  ) or exists (
    select from switchback.intents where migration = p_migration and key = p_key and path = p_path
  )
$$;

create or replace function switchback.write_intent(
  p_token uuid, p_migration text, p_key text, p_path text, p_epoch bigint
) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  insert into switchback.intents (token, migration, key, path, epoch)
  values (p_token, p_migration, p_key, p_path, p_epoch)
$$;

-- By its token alone: the intent of another write of the same key says something about that write.
create or replace function switchback.clear_intent(p_token uuid) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  delete from switchback.intents where token = p_token
$$;

grant usage on schema switchback to public;
grant execute on function
  switchback.lock_key(text, text),
  switchback.queue_repair(text, text, text, bigint, text),
  switchback.repair_open(text, text, text),
  switchback.write_intent(uuid, text, text, text, bigint),
  switchback.clear_intent(uuid)
to public;

-- What of these files is here already, so that preparing again touches no catalog under traffic.
create table if not exists switchback.installed (
  part text primary key,
  checksum text not null
);

-- Applied statements of SQL files, each written in the transaction of its statement where there is one.
-- Position -1 says that the whole file was applied in the epoch.
create table if not exists switchback.statements (
  migration text not null,
  file text not null,
  position int not null,
  checksum text not null,
  epoch bigint not null,
  applied_at timestamptz not null default clock_timestamp(),
  primary key (migration, file, position)
);

-- One copy of history: its bound was fixed when it began, and ranges up to the frontier have been handed out.
create table if not exists switchback.copies (
  migration text primary key,
  epoch bigint not null,
  mapping text not null,
  -- Keys as text; an upper bound of null says that there was nothing to copy.
  upper_key text[],
  frontier text[],
  total bigint not null,
  began_at timestamptz not null default clock_timestamp()
);

-- When the last range was done; what was committed before it is on disk when this is.
alter table switchback.copies add column if not exists ended_at timestamptz;

-- The parts that old is gone through in, one after the other: tables by their blocks, or ranges of values; null
-- is one part, in the order of its keys. upper_key and frontier are those of the part that is being handed out.
alter table switchback.copies add column if not exists parts jsonb;
alter table switchback.copies add column if not exists part int not null default 0;

-- How fast every process may go, as the one that leads has found; null is as fast as it can.
alter table switchback.copies add column if not exists pace jsonb;
alter table switchback.copies add column if not exists paced_at timestamptz;

-- Ranges (after_key, up_to_key] of a copy; done commits with the rows of the range.
create table if not exists switchback.checkpoints (
  id bigint generated always as identity primary key,
  migration text not null,
  after_key text[],
  up_to_key text[] not null,
  done boolean not null default false,
  rows bigint not null default 0,
  changed bigint not null default 0
);
-- Who was the last to take the range, and how long its statement took in ms.
alter table switchback.checkpoints add column if not exists worker text;
alter table switchback.checkpoints add column if not exists ms float8;
alter table switchback.checkpoints add column if not exists part int not null default 0;
create index if not exists checkpoints_open on switchback.checkpoints (migration) where not done;

-- Rows that cannot be copied as they are; listed, not lost.
create table if not exists switchback.failed_rows (
  migration text not null,
  key text not null,
  sqlstate text not null,
  error text not null,
  failed_at timestamptz not null default clock_timestamp(),
  primary key (migration, key)
);

-- What the schema is expected to be (migration ''), and what it was before and after a file of a migration: by
-- these changes made by hand are found, and a rollback is proven. `touches` is what the file's statements speak of.
create table if not exists switchback.catalogs (
  migration text not null,
  moment text not null,
  catalog jsonb not null,
  touches jsonb,
  taken_at timestamptz not null default clock_timestamp(),
  primary key (migration, moment)
);

-- Where a verification stands: it goes on there after a crash.
create table if not exists switchback.verifications (
  migration text not null,
  -- The path that the other one is compared with.
  leader text not null check (leader in ('old', 'new')),
  epoch bigint not null,
  mapping text not null,
  state jsonb not null,
  primary key (migration, leader)
);
