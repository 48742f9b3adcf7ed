import { isDataError, isTransient, messageOf, throwIfStopped } from './execution-error.ts'
import type { FailedRow, WorkOrder } from './execution-port.ts'
import { KEY_SEPARATOR, type Key } from './keyset.ts'
import type { Mapping } from './mapping.ts'
import { type Patience, persistently } from './persistently.ts'
import type { Connection, Sql, Target } from './target.ts'

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
