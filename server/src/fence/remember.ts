import type { MigrationState } from '@switchback/migrations-registry'
import type { Sql } from '../target/target.ts'

/**
 * Has the target remember the state of a migration. Never forgets a newer epoch: returns its state instead.
 * Where nothing of Switchback is installed yet there is nothing to remember, and nothing is done.
 */
export async function remember(
  on: Sql,
  migration: string,
  state: MigrationState,
): Promise<MigrationState | undefined> {
  const there = await on.query<{ there: boolean }>(
    `select exists (select from pg_attribute
       where attrelid = to_regclass('switchback.fences') and attname = 'seen' and not attisdropped) as there`,
  )
  if (there.rows[0]?.there !== true) return undefined
  const written = await on.query(
    `insert into switchback.fences as f (migration, seen, state) values ($1, $2, $3)
     on conflict (migration) do update set seen = excluded.seen, state = excluded.state
       where f.seen <= excluded.seen
     returning 1`,
    [migration, state.epoch, state],
  )
  if (written.rows.length > 0) return undefined
  const { rows } = await on.query<{ seen: number; state: MigrationState }>(
    'select state from switchback.fences where migration = $1 and seen > $2',
    [migration, state.epoch],
  )
  return rows[0]?.state
}
