import type { MigrationDefinition, Path } from '@switchback/migrations-registry'
import { KEY_SEPARATOR } from '../mapping/keyset.ts'
import { describeMapping } from '../mapping/mapping.ts'
import { reverseMapping } from '../mapping/reverse-mapping.ts'
import type { OpenRepairs } from '../phases/phase-service.ts'
import { isTransient, messageOf } from '../target/execution-error.ts'
import { olderThan } from '../target/snapshots.ts'
import { type Connection, inTransaction, type Sql, type Target } from '../target/target.ts'
import type { Pair } from './compare.ts'
import { reasonOf } from './reconcile.ts'
import { lockKeys, repairLocked } from './repair-keys.ts'

const LOCK_TIMEOUT_MS = 700

export async function openRepairs(on: Sql, migration: string): Promise<OpenRepairs> {
  if (!(await isThere(on, 'switchback.repairs'))) return { old: 0, new: 0 }
  const { rows } = await on.query<{ path: Path; count: number }>(
    'select path, count(*) as count from switchback.repairs where migration = $1 group by path',
    [migration],
  )
  const of = (path: Path) => rows.find((row) => row.path === path)?.count ?? 0
  return { old: of('old'), new: of('new') }
}

export async function countFailedRows(on: Sql, migration: string): Promise<number> {
  if (!(await isThere(on, 'switchback.failed_rows'))) return 0
  const { rows } = await on.query<{ count: number }>(
    'select count(*) as count from switchback.failed_rows where migration = $1',
    [migration],
  )
  return rows[0]?.count ?? 0
}

export async function isThere(on: Sql, table: string): Promise<boolean> {
  const { rows } = await on.query('select 1 where to_regclass($1) is not null', [table])
  return rows.length > 0
}

interface Entry extends Record<string, unknown> {
  readonly key: string
  readonly path: Path
}

/**
 * Copies keys that wait for repair from the path that is ahead. Returns how many are repaired.
 *
 * A row that had been missing is not done with yet when it has been copied: a delete whose snapshot is older
 * removes the other path's row only. Such a key stays queued, and with that guarded, until every transaction
 * from before its repair is gone and it has been looked at once more.
 */
export async function repairSome(
  target: Target,
  definition: MigrationDefinition,
  limit: number,
): Promise<number> {
  if (definition.copy === undefined) return 0
  const { rows } = await target.query<Entry>(
    `select key, path from switchback.repairs where migration = $1
     order by attempts, queued_at, key limit $2`,
    [definition.id, limit],
  )
  if (rows.length === 0) return 0
  const mapping = await describeMapping(target, definition)
  const forward: Pair = { mapping, leader: 'old' }
  const back: Pair | undefined = rows.some(({ path }) => path === 'old')
    ? { mapping, leader: 'new', reverse: await reverseMapping(mapping) }
    : undefined
  return target.connection(async (connection) => {
    await connection.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
    let done = 0
    const again: Entry[] = []
    for (const entry of rows) {
      const pair = entry.path === 'new' ? forward : back
      if (pair === undefined) continue
      const outcome = await attempt(connection, pair, entry)
      if (outcome === 'done') done += 1
      if (outcome === 'copied') again.push(entry)
    }
    if (again.length === 0) return done
    // Its own transaction, after the repairs: what can still miss their rows is older than this.
    await connection.query(
      `update switchback.repairs set settles_after = pg_current_xact_id()
       where migration = $1 and copied and settles_after is null`,
      [definition.id],
    )
    for (const entry of again) {
      const pair = entry.path === 'new' ? forward : back
      if (pair !== undefined && (await attempt(connection, pair, entry)) === 'done') done += 1
    }
    return done
  })
}

type Outcome = 'done' | 'copied' | 'waiting' | 'failed'

async function attempt(connection: Connection, pair: Pair, entry: Entry): Promise<Outcome> {
  try {
    return await inTransaction(connection, 'begin isolation level read committed', () =>
      repairOne(connection, pair, entry),
    )
  } catch (error) {
    // The connection may be gone; then the next round meets the entry as it was.
    if (isTransient(error)) return 'failed'
    await noteFailure(connection, pair.mapping.migration, entry, messageOf(error))
    return 'failed'
  }
}

async function repairOne(connection: Connection, pair: Pair, { key, path }: Entry): Promise<Outcome> {
  const { mapping } = pair
  const parts = mapping.keyColumns.length === 1 ? [key] : key.split(KEY_SEPARATOR)
  await lockKeys(connection, pair, [parts])
  const id = [mapping.migration, key, path]
  // Read again under the lock: a write that went through since may have queued it anew, or another worker
  // may have done it.
  const { rows } = await connection.query<{ copied: boolean; settles_after: string | null }>(
    `select copied, settles_after::text from switchback.repairs
     where migration = $1 and key = $2 and path = $3 for update skip locked`,
    id,
  )
  const [found] = rows
  if (found === undefined) return 'waiting'
  if (found.copied) {
    if (found.settles_after === null) return 'copied'
    if ((await olderThan(connection, found.settles_after)).length > 0) return 'waiting'
  }
  const { standing, left } = await repairLocked(connection, pair, [parts])
  const [stuck] = left
  if (stuck !== undefined) throw new Error(reasonOf(pair, stuck.kind))
  if (standing.some(({ kind }) => kind === 'missing')) {
    await connection.query(
      `update switchback.repairs set copied = true, settles_after = null
       where migration = $1 and key = $2 and path = $3`,
      id,
    )
    return 'copied'
  }
  await connection.query('delete from switchback.repairs where migration = $1 and key = $2 and path = $3', id)
  return 'done'
}

/** Writes down why a key could not be repaired. */
export async function noteFailure(
  on: Sql,
  migration: string,
  { key, path }: { readonly key: string; readonly path: Path },
  error: string,
): Promise<void> {
  await on.query(
    `update switchback.repairs set attempts = attempts + 1, last_error = $4
     where migration = $1 and key = $2 and path = $3`,
    [migration, key, path, error.slice(0, 1000)],
  )
}
