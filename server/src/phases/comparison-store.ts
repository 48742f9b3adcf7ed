import type { Queryable } from '../db/db.ts'

/** Another one after every restart of the store's server, failover to another one, and restore into a new database. */
const LIFE = `(select extract(epoch from pg_postmaster_start_time()) || ' ' || oid
  from pg_database where datname = current_database())`

/**
 * Whether the row of `migrations` in hand has been compared with its target since the store could have gone back
 * in time. What was noted before that is void by itself: files that are put back live another life, rows that a
 * dump brings back are of another transaction, and a table that is put back alone is of a lower revision.
 */
export const COMPARED = `exists (
  select from comparisons c
  where c.migration = migrations.id and c.life = ${LIFE} and c.written::xid = c.xmin
    and c.revision <= migrations.revision)`

export async function lifeOfStore(on: Queryable): Promise<string> {
  const { rows } = await on.query<{ life: string }>(`select ${LIFE} as life`)
  return rows[0]?.life ?? ''
}

/**
 * Notes that a migration was compared at this revision, if that is still its revision and the store still lives the
 * life in which it was asked: what came meanwhile may be of another target, and is compared in its turn. The row is
 * locked so that it stays at this revision until the note is there. A note of a higher one is then of a table that
 * has been put back since, and gives way: were it left, nothing could be noted again before the store had caught up
 * with it, and whoever commands would compare without end.
 */
export async function noteCompared(
  on: Queryable,
  life: string,
  migration: string,
  revision: number,
): Promise<void> {
  await on.query(
    `insert into comparisons as noted (migration, life, written, revision)
     select id, ${LIFE}, pg_current_xact_id(), $3 from migrations
     where id = $1 and ${LIFE} = $2 and revision = $3
     for share of migrations
     on conflict (migration) do update
       set life = excluded.life, written = excluded.written, revision = excluded.revision
       where noted.revision <> excluded.revision or noted.life <> excluded.life
         or noted.written::xid <> noted.xmin`,
    [migration, life, revision],
  )
}
