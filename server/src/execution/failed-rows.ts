import { isDataError, isTransient, messageOf, throwIfStopped } from './execution-error.ts'
import type { WorkOrder } from './execution-port.ts'
import { KEY_SEPARATOR, type Key } from './keyset.ts'
import type { Mapping } from './mapping.ts'
import { type Patience, persistently } from './persistently.ts'
import type { Connection, Target } from './target.ts'

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
