import { pause } from '../target/pause.ts'
import type { Sql } from '../target/target.ts'

const POLL_MS = 500
/** Below this a replica counts as caught up, however old its last answer is. */
const BYTES_BEHIND = 1_000_000

interface Replica extends Record<string, unknown> {
  readonly name: string
  readonly lagMs: number
}

// Receivers of backups and logical slots tell of no replay: they are nobody's source of reads. A replica that
// hangs tells of no lag either, but then it has not answered for long.
const LAGGING = `
  select * from (
    select coalesce(nullif(application_name, ''), client_addr::text, 'replica') as name,
           greatest(extract(epoch from replay_lag),
                    extract(epoch from clock_timestamp() - reply_time), 0)::float8 * 1000 as "lagMs"
    from pg_stat_replication
    where replay_lsn is not null and not pg_is_in_recovery()
      and pg_wal_lsn_diff(pg_current_wal_insert_lsn(), replay_lsn) > ${BYTES_BEHIND}
  ) r where "lagMs" > $1`

/** Waits until no replica that this database knows of is further behind than `maxLagMs`. */
export async function replicasSettled(
  on: Sql,
  maxLagMs: number,
  signal: AbortSignal,
  tell: (throttledBy: string) => void,
): Promise<void> {
  for (;;) {
    const { rows } = await on.query<Replica>(LAGGING, [maxLagMs])
    if (rows.length === 0) return
    tell(rows.map(({ name, lagMs }) => `replica ${name} is ${(lagMs / 1000).toFixed(1)} s behind`).join('; '))
    await pause(POLL_MS, signal)
  }
}
