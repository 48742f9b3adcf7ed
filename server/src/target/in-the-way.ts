import type { Sql } from './target.ts'

/** A backend that others wait for. */
export interface InTheWay {
  readonly pid: number
  readonly application: string
  readonly state: string
  readonly ageMs: number
  readonly query: string
}

export const describeBackend = ({ pid, application, state, ageMs, query }: InTheWay): string =>
  `backend ${pid} (${application || 'no name'}, ${state || 'running'}, ${(ageMs / 1000).toFixed(1)} s): ` +
  query.replaceAll(/\s+/g, ' ').slice(0, 120)

/** Columns of a backend `a` of pg_stat_activity, by the names of InTheWay. */
export const BACKEND_COLUMNS = `a.pid, coalesce(a.application_name, '') as application,
  coalesce(a.state, '') as state, coalesce(a.query, '') as query,
  coalesce(extract(epoch from clock_timestamp() - a.xact_start) * 1000, 0)::float8 as "ageMs"`

/** Those whom the backend `pid` waits for now, the oldest first. */
async function waitedForBy(on: Sql, pid: number): Promise<readonly InTheWay[]> {
  const { rows } = await on.query<InTheWay & Record<string, unknown>>(
    `select ${BACKEND_COLUMNS} from pg_stat_activity a
     where a.pid = any(pg_blocking_pids($1)) order by a.xact_start`,
    [pid],
  )
  return rows
}

/** How far an index build is, as PostgreSQL tells of it. */
export interface IndexProgress {
  readonly phase: string
  readonly done: number
  readonly total: number
}

// Each phase counts in its own unit: blocks while the table is read, rows while they are loaded, then lockers.
export async function indexProgress(on: Sql, pid: number): Promise<IndexProgress | undefined> {
  const { rows } = await on.query<IndexProgress & Record<string, unknown>>(
    `select phase,
       case when phase like 'waiting%' then lockers_done when tuples_total > 0 then tuples_done
            else blocks_done end::float8 as done,
       case when phase like 'waiting%' then lockers_total when tuples_total > 0 then tuples_total
            else blocks_total end::float8 as total
     from pg_stat_progress_create_index where pid = $1`,
    [pid],
  )
  return rows[0]
}

/** Says, while `work` runs, whom its backend waits for; `also` looks at more. Every quarter of a second. */
export async function watched<T>(
  on: Sql,
  pid: number,
  tell: (throttledBy: string | undefined) => void,
  work: () => Promise<T>,
  also: () => Promise<void> = async () => undefined,
): Promise<T> {
  let looking = false
  const look = async () => {
    const found = await waitedForBy(on, pid)
    tell(found.length === 0 ? undefined : found.map(describeBackend).join('; '))
    await also()
  }
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    look()
      // Only a view of the work: the work itself meets the same fault, and reports it.
      .catch(() => undefined)
      .finally(() => {
        looking = false
      })
  }, 250)
  timer.unref()
  try {
    return await work()
  } finally {
    clearInterval(timer)
  }
}
