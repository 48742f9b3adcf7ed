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

/** Says, while `work` runs, whom its backend waits for. Looks every quarter of a second. */
export async function watched<T>(
  on: Sql,
  pid: number,
  tell: (throttledBy: string | undefined) => void,
  work: () => Promise<T>,
): Promise<T> {
  let looking = false
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    waitedForBy(on, pid)
      .then((found) => tell(found.length === 0 ? undefined : found.map(describeBackend).join('; ')))
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
