-- The fence of one migration. :id is replaced by the id of the migration, which consists of lower-case
-- letters, digits and dashes only.
insert into switchback.fences (migration) values (':id') on conflict do nothing;

-- The minimum is a sequence because sequences are outside of snapshots: even a SERIALIZABLE transaction
-- whose snapshot is older sees the newest value.
create sequence if not exists switchback."minimum::id" as bigint minvalue 0 start 0;
-- A sequence that was never called has no last value.
select setval('switchback."minimum::id"', 0) from switchback."minimum::id" where not is_called;

-- Begins a routed write: tries the shared lock of its epoch, then checks the epoch against the minimum, then
-- takes the lock of its key. The lock first: whoever raises the minimum takes it exclusively afterwards, so
-- either this transaction is waited for, or it sees the new minimum.
create or replace function switchback."enter::id"(p_epoch bigint, p_key text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Written as conditions: PL/pgSQL evaluates them without the cost of a query each.
  if pg_try_advisory_xact_lock_shared(hashtext('switchback fence :id'), p_epoch::int) then
    if p_epoch >= pg_sequence_last_value('switchback."minimum::id"'::regclass) then
      if p_key is null
        or pg_advisory_xact_lock(hashtextextended(':id' || chr(31) || p_key, 7305)) is not null
      then
        return;
      end if;
    end if;
  end if;
  raise exception using
    errcode = 'SB001',
    message = format('epoch %s of :id has passed', p_epoch),
    hint = 'Fetch the present epoch and try again.';
end
$$;

-- Raises the minimum; never lowers it. One at a time, so that a slow caller cannot undo a faster one.
create or replace function switchback."raise::id"(p_epoch bigint) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  minimum bigint;
begin
  perform pg_advisory_xact_lock(hashtext('switchback raise :id'), 0);
  select last_value into minimum from switchback."minimum::id";
  if p_epoch > minimum then
    minimum := setval('switchback."minimum::id"', p_epoch);
  end if;
  return minimum;
end
$$;

grant execute on function switchback."enter::id"(bigint, text) to public;
revoke execute on function switchback."raise::id"(bigint) from public;
