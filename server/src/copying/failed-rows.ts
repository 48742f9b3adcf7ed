import { countFailedRows } from '../comparing/repairs.ts'
import type { FailedRow, WorkOrder } from '../execution/execution-port.ts'
import { KEY_SEPARATOR, type Key, keyArray, keyText, rangeParams, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import {
  ExecutionError,
  isDataError,
  isTransient,
  messageOf,
  sqlStateOf,
  throwIfStopped,
} from '../target/execution-error.ts'
import { type Patience, persistently } from '../target/persistently.ts'
import type { Connection, Sql, Target } from '../target/target.ts'
import type { Places } from './checkpoints.ts'
import type { OpenRange } from './copy-chunk.ts'

/** As many failed rows never stop a backfill. */
const SPARED = 10

/**
 * Writes down the one row of a range that cannot be copied, and goes on without it; returns how many there are.
 * @throws ExecutionError where they are too many: where row after row fails, a person should look before
 * thousands more are tried one by one
 */
export async function giveUpRow(
  { source, target }: Places,
  mapping: Mapping,
  total: number,
  range: OpenRange,
  error: Error,
): Promise<number> {
  const key = (await firstKey(source, mapping, range)) ?? range.upTo ?? []
  await target.query(
    `with given_up as (
       update switchback.checkpoints set done = true
       where id = $1 and not done and up_to_key = $5 and after_key is not distinct from $6::text[]
       returning migration
     )
     insert into switchback.failed_rows (migration, key, sqlstate, error) select migration, $2, $3, $4 from given_up
     on conflict (migration, key) do update set sqlstate = excluded.sqlstate, error = excluded.error,
       failed_at = clock_timestamp()`,
    [
      ...[range.id, keyText(key), sqlStateOf(error) ?? '', error.message.slice(0, 1000)],
      ...[range.upTo, range.after ?? null],
    ],
  )
  return requireFewFailures(target, mapping, total)
}

/** The key of the one row that a range holds, whatever its bounds are about. */
async function firstKey(on: Sql, { old }: Mapping, range: OpenRange): Promise<Key | undefined> {
  const { numbers, values } = rangeParams(range)
  const { rows } = await on.query<{ key: string[] }>(
    `select ${keyArray(old.keys)} as key from ${range.side.table} where ${within(range.side, numbers)} limit 1`,
    values,
  )
  return rows[0]?.key
}

/** How many rows could not be copied, by any process. @throws ExecutionError where they are too many */
export async function requireFewFailures(on: Sql, mapping: Mapping, total: number): Promise<number> {
  const failed = await countFailedRows(on, mapping.migration)
  const { stopAbove } = mapping.copy
  if (failed <= Math.max(SPARED, stopAbove * total)) return failed
  const { rows } = await on.query<{ error: string }>(
    'select error from switchback.failed_rows where migration = $1 order by failed_at desc limit 1',
    [mapping.migration],
  )
  throw new ExecutionError(
    'too-many-failed-rows',
    `${failed} rows cannot be copied, more than ${stopAbove * 100}% of ${total} (copy.stopAbove). ` +
      `The last of them: ${rows[0]?.error}`,
  )
}

/** Tries again the rows that could not be copied; a person may have corrected them. Returns how many went. */
export async function retryFailedRows(
  deps: Patience & { readonly target: Target },
  order: WorkOrder,
  mapping: Mapping,
  repair: (connection: Connection, keys: readonly Key[]) => Promise<unknown>,
): Promise<number> {
  const { target } = deps
  const { rows } = await target.query<{ key: string }>(
    'select key from switchback.failed_rows where migration = $1 order by key',
    [mapping.migration],
  )
  let done = 0
  for (const { key } of rows) {
    throwIfStopped(order.signal)
    const parts = mapping.keyColumns.length === 1 ? [key] : key.split(KEY_SEPARATOR)
    try {
      await persistently(deps, order.signal, () =>
        target.cancellable(order.signal, (connection) => repair(connection, [parts])),
      )
      await target.query('delete from switchback.failed_rows where migration = $1 and key = $2', [
        mapping.migration,
        key,
      ])
      done += 1
    } catch (error) {
      if (!isDataError(error) || isTransient(error)) throw error
      await target.query('update switchback.failed_rows set error = $3 where migration = $1 and key = $2', [
        mapping.migration,
        key,
        messageOf(error).slice(0, 1000),
      ])
    }
  }
  return done
}

/** A page of the rows that could not be copied, by key. Empty where nothing was ever copied. */
export async function listFailedRows(
  on: Sql,
  migration: string,
  { after, limit }: { readonly after?: string; readonly limit: number },
): Promise<readonly FailedRow[]> {
  const there = await on.query(`select where to_regclass('switchback.failed_rows') is not null`)
  if (there.rowCount === 0) return []
  const { rows } = await on.query<FailedRow & Record<string, unknown>>(
    `select key, sqlstate, error, (extract(epoch from failed_at) * 1000)::float8 as "failedAt"
     from switchback.failed_rows
     where migration = $1 and ($2::text is null or key collate "C" > $2) order by key collate "C" limit $3`,
    [migration, after ?? null, limit],
  )
  return rows
}
