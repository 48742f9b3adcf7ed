-- What Switchback keeps in a target database: repairs and checkpoints must commit with the rows that they
-- speak of, and the fence must be where the writes are. Repeatable; run under the installer's lock.
create schema if not exists switchback;

create table if not exists switchback.fences (
  migration text primary key,
  -- Epochs below this are proven to be out of use: their keys were taken exclusively once.
  passed bigint not null default 0
);

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
  primary key (migration, key, path)
);

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
  -- Both paths behind for one key: neither could be copied from. The write must fail instead.
  if exists (
    select from switchback.repairs
    where migration = p_migration and key = p_key and path <> p_path
  ) then
    raise exception using
      errcode = 'SB002',
      message = format('key %s of %s waits for repair of the other path', p_key, p_migration);
  end if;
  insert into switchback.repairs (migration, key, path, epoch, reason)
  values (p_migration, p_key, p_path, p_epoch, left(p_reason, 1000))
  on conflict (migration, key, path) do update
    set epoch = excluded.epoch, reason = excluded.reason, queued_at = excluded.queued_at, last_error = null;
end
$$;

create or replace function switchback.repair_open(p_migration text, p_key text, p_path text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from switchback.repairs where migration = p_migration and key = p_key and path = p_path
  )
$$;

grant usage on schema switchback to public;
grant execute on function
  switchback.lock_key(text, text),
  switchback.queue_repair(text, text, text, bigint, text),
  switchback.repair_open(text, text, text)
to public;
