import { throwIfStopped } from './execution-error.ts'
import { BACKEND_COLUMNS, describeBackend, type InTheWay } from './in-the-way.ts'
import { pause } from './pause.ts'
import { inTransaction, type Sql, type Target } from './target.ts'

// Backends that write in this database. Standbys and replication slots hold back xmin too, but what reads
// through them cannot write, and autovacuum changes no row.
const OLDER = `
  select ${BACKEND_COLUMNS}, a.backend_start::text || a.xact_start::text as transaction
  from pg_stat_activity a
  where a.datname = current_database() and a.pid <> pg_backend_pid() and a.xact_start is not null
    and a.backend_type <> 'autovacuum worker'
    and (age(a.backend_xmin) > age(xid($1::xid8)) or age(a.backend_xid) > age(xid($1::xid8)))
  union all
  select 0, 'prepared transaction', 'prepared', p.gid,
         (extract(epoch from clock_timestamp() - p.prepared) * 1000)::float8, p.gid
  from pg_prepared_xacts p
  where p.database = current_database() and age(p.transaction) > age(xid($1::xid8))`

type Older = InTheWay & { readonly transaction: string }

/** Transactions that may have a snapshot from before the transaction `xid`, or began writing before it. */
export async function olderThan(on: Sql, xid: string): Promise<readonly Older[]> {
  const { rows } = await on.query<Older & Record<string, unknown>>(OLDER, [xid])
  return rows
}

const same = (one: Older, other: Older): boolean =>
  one.pid === other.pid && one.transaction === other.transaction

/**
 * Waits until every transaction is gone that may have a snapshot from before now.
 *
 * A delete in such a transaction cannot see a row that was copied after its snapshot: it removes the row of
 * old only, and the row of new stays behind. A sweep or a comparison that looks before that transaction has
 * ended finds both rows and nothing wrong. CREATE INDEX CONCURRENTLY waits for the same reason; like there
 * the transactions are listed once, so that newer ones never prolong the wait.
 */
export async function waitForOlderSnapshots(
  target: Target,
  signal: AbortSignal,
  report: (throttledBy: string) => void,
): Promise<void> {
  await target.connection(async (connection) => {
    const xid = await inTransaction(connection, 'begin', async () => {
      const { rows } = await connection.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
      return rows[0]?.xid ?? '0'
    })
    let left = await olderThan(connection, xid)
    for (let wait = 5; left.length > 0; wait = Math.min(wait * 2, 250)) {
      throwIfStopped(signal)
      if (wait >= 40) report(`older transactions: ${left.slice(0, 5).map(describeBackend).join('; ')}`)
      await pause(wait, signal)
      const now = await olderThan(connection, xid)
      left = now.filter((one) => left.some((listed) => same(listed, one)))
    }
  })
}
