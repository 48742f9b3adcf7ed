import type { FenceHolder, FencePassed } from '../execution/execution-port.ts'
import { isContention, throwIfStopped } from '../target/execution-error.ts'
import { install } from '../target/installer.ts'
import type { Connection, Target } from '../target/target.ts'

export interface Fence {
  minimum(migration: string): Promise<number>
  pass(migration: string, epoch: number, signal?: AbortSignal): Promise<FencePassed>
}

export interface FenceOptions {
  readonly target: Pick<Target, 'query' | 'connection'>
  readonly clock: () => number
  /** How long one call waits for transactions of older epochs. */
  readonly waitMs: number
}

/** One wait for one lock; short, so that a signal is heeded soon. */
const SLICE_MS = 200

const HOLDERS = `
  select coalesce(l.pid, 0) as pid,
         coalesce(nullif(a.application_name, ''), a.usename, 'prepared transaction') as application,
         coalesce(extract(epoch from clock_timestamp() - a.xact_start) * 1000, 0)::float8 as age_ms,
         coalesce(left(a.query, 500), '') as query
  from pg_locks l left join pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'advisory' and l.granted and l.objsubid = 2
    and l.database = (select oid from pg_database where datname = current_database())
    and l.classid = (hashtext('switchback fence ' || $1)::bigint & 4294967295)::oid
    and l.objid::bigint < $2 and l.pid is distinct from pg_backend_pid()
  order by a.xact_start`

async function holders(
  connection: Connection,
  migration: string,
  epoch: number,
): Promise<readonly FenceHolder[]> {
  const { rows } = await connection.query<{
    pid: number
    application: string
    age_ms: number
    query: string
  }>(HOLDERS, [migration, epoch])
  return rows.map((row) => ({
    pid: row.pid,
    application: row.application,
    ageMs: Math.round(row.age_ms),
    query: row.query,
  }))
}

/** Takes the exclusive key of a passed epoch and lets it go: nothing that was let in before is left. */
async function passOne(connection: Connection, migration: string, epoch: number): Promise<boolean> {
  const key = [migration, epoch]
  try {
    await connection.query(`select pg_advisory_lock(hashtext('switchback fence ' || $1), $2::int)`, key)
  } catch (error) {
    if (isContention(error)) return false
    throw error
  }
  await connection.query(`select pg_advisory_unlock(hashtext('switchback fence ' || $1), $2::int)`, key)
  return true
}

/**
 * Spares the next pass the epochs of this one. Triggers are installed under the lock of this record, while
 * writers are waited for: that is no reason to say that the fence could not be passed, for it has been.
 */
async function note(connection: Connection, migration: string, epoch: number): Promise<void> {
  try {
    await connection.query(
      'update switchback.fences set passed = greatest(passed, $2) where migration = $1',
      [migration, epoch],
    )
  } catch (error) {
    if (!isContention(error)) throw error
  }
}

export function createFence({ target, clock, waitMs }: FenceOptions): Fence {
  async function minimum(migration: string): Promise<number> {
    const sequence = `switchback."minimum:${migration}"`
    const there = await target.query<{ there: boolean }>('select to_regclass($1) is not null as there', [
      sequence,
    ])
    if (there.rows[0]?.there !== true) return 0
    const { rows } = await target.query<{ last_value: number }>(`select last_value from ${sequence}`)
    return rows[0]?.last_value ?? 0
  }

  async function pass(migration: string, epoch: number, signal?: AbortSignal): Promise<FencePassed> {
    await install(target, migration)
    const deadline = clock() + waitMs
    return target.connection(async (connection) => {
      // First the minimum: from here on nobody of an older epoch is let in, and the waiting can end.
      await connection.query(`select switchback."raise:${migration}"($1)`, [epoch])
      const { rows } = await connection.query<{ passed: number }>(
        'select passed from switchback.fences where migration = $1',
        [migration],
      )
      await connection.query(`set lock_timeout = ${SLICE_MS}`)
      for (let older = rows[0]?.passed ?? 0; older < epoch; ) {
        if (signal) throwIfStopped(signal)
        if (await passOne(connection, migration, older)) older += 1
        else if (clock() >= deadline) {
          const left = await holders(connection, migration, epoch)
          // Whoever was in the way may have ended meanwhile: then there is nobody to name, and nobody to wait for.
          if (left.length > 0) return { passed: false, holders: left }
        }
      }
      await note(connection, migration, epoch)
      return { passed: true }
    })
  }

  return { minimum, pass }
}
