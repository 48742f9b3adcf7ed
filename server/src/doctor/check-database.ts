import pg from 'pg'
import type { Queryable } from '../db/db.ts'
import { type Check, type Checks, faultText, placeOf } from './check.ts'

const CONNECT_MS = 5_000
const ANSWER_MS = 10_000
/** What is still maintained, and what the engine's SQL needs. */
const MAINTAINED = 14
const OLDEST = 12
const SKEW_WARN_MS = 1_000
const SKEW_FAIL_MS = 60_000

export interface DatabaseLook {
  readonly checks: readonly Check[]
  /** Its clock minus that of this machine, in ms; undefined where it was not reached. */
  readonly skewMs: number | undefined
}

export interface DatabaseFacts {
  readonly version: string
  readonly number: number
  readonly standby: boolean
  readonly now: number
  readonly limit: number
  readonly used: number
}

const FACTS = `
  select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
    pg_is_in_recovery() as standby, (extract(epoch from clock_timestamp()) * 1000)::float8 as now,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as "limit",
    (select count(*) from pg_stat_activity where backend_type = 'client backend')::int as used`

/**
 * Connects to a database and looks at what matters of any: version, clock, room for connections. `more` looks
 * at what matters of this one. Nothing is changed.
 *
 * @param connections how many a server keeps open to it at most
 */
export async function lookAtDatabase(
  is: Checks,
  url: string,
  {
    variable,
    connections,
    clock,
  }: { readonly variable: string; readonly connections: number; readonly clock: () => number },
  more: (on: Queryable) => Promise<readonly Check[]>,
): Promise<DatabaseLook> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'switchback doctor',
    connectionTimeoutMillis: CONNECT_MS,
    // Waited for here: a limit of the session would hide that of the role.
    query_timeout: ANSWER_MS,
  })
  client.on('error', () => undefined)
  const on: Queryable = { query: (text, params) => client.query(text, params as unknown[] | undefined) }
  try {
    try {
      await client.connect()
    } catch (error) {
      const check = is.fail(
        'reachable',
        `${placeOf(url)} does not let us in: ${faultText(error, url)}`,
        `See ${variable}: host, port, database, user and password; and that this machine may connect.`,
      )
      return { checks: [check], skewMs: undefined }
    }
    const sentAt = clock()
    const { rows } = await on.query<DatabaseFacts & Record<string, unknown>>(FACTS)
    const skewMs = certainSkew(rows[0]?.now ?? 0, sentAt, clock())
    const facts = rows[0] as DatabaseFacts
    return { checks: [...commonChecks(is, url, facts, skewMs, connections), ...(await more(on))], skewMs }
  } catch (error) {
    const check = is.fail(
      'reachable',
      `a question was not answered: ${faultText(error, url)}`,
      'See the log of that PostgreSQL.',
    )
    return { checks: [check], skewMs: undefined }
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** It looked at its clock at some time between the two; only what is beyond both is a difference of clocks. */
const certainSkew = (theirs: number, sentAt: number, answeredAt: number): number =>
  theirs > answeredAt ? theirs - answeredAt : Math.min(0, theirs - sentAt)

/** What matters of any database, from what it has told of itself. */
export function commonChecks(
  is: Checks,
  url: string,
  facts: DatabaseFacts,
  skewMs: number,
  connections: number,
): readonly Check[] {
  const { version, number, standby, limit, used } = facts
  const major = Math.floor(number / 10_000)
  const reached = `PostgreSQL ${version} at ${placeOf(url)}`
  const upgrade = `Upgrade to PostgreSQL ${MAINTAINED} or later.`
  const free = limit - used
  const room = `${free} of ${limit} connections are free; a server takes up to ${connections}`
  const more = 'Raise max_connections, or find who holds them in pg_stat_activity.'
  return [
    standby
      ? is.fail('reachable', `${reached} is a standby: nothing can be written`, 'Name the primary.')
      : is.ok('reachable', reached),
    major >= MAINTAINED
      ? is.ok('version', `PostgreSQL ${major} is supported`)
      : major >= OLDEST
        ? is.warn('version', `PostgreSQL ${major} is not maintained any more`, upgrade)
        : is.fail('version', `PostgreSQL ${major} is too old`, upgrade),
    skewCheck(is, 'this machine', skewMs),
    free < connections
      ? is.fail('connections', room, more)
      : free < 2 * connections
        ? is.warn('connections', `${room}, and a second one as many`, more)
        : is.ok('connections', room),
  ]
}

/** Leases and soak times are told by clocks; where they disagree, times in the audit log mislead. */
export function skewCheck(is: Checks, other: string, skewMs: number): Check {
  const ahead = `its clock is ${(Math.abs(skewMs) / 1000).toFixed(1)} s ${skewMs < 0 ? 'behind' : 'ahead of'} that of ${other}`
  const action = 'Let both keep time by NTP.'
  if (Math.abs(skewMs) > SKEW_FAIL_MS) return is.fail('clock', ahead, action)
  if (Math.abs(skewMs) > SKEW_WARN_MS) return is.warn('clock', ahead, action)
  return is.ok('clock', `its clock agrees with that of ${other}`)
}
