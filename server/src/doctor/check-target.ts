import { targetVariable } from '../config/target-variable.ts'
import type { Queryable } from '../db/db.ts'
import { type Check, type Checks, checksOf } from './check.ts'
import { type DatabaseLook, lookAtDatabase, skewCheck } from './check-database.ts'

/** As many as the engine of a server opens: two workers and ten for everything else. */
const CONNECTIONS = 12
const LONG = '5 minutes'

interface Facts {
  readonly role: string
  readonly installed: boolean
  readonly may_install: boolean
  readonly may_create: boolean
  readonly schema: string | null
  readonly foreign: number
  readonly example: string | null
  readonly reads_stats: boolean
  readonly replicas: number
  readonly lock: string
  readonly statement: string
  readonly idle_transaction: string
  readonly idle: string
  readonly prepared: number
}

const READ = `
  select current_user::text as role, to_regnamespace('switchback') is not null as installed,
    case when to_regnamespace('switchback') is null then has_database_privilege(current_database(), 'create')
         else has_schema_privilege('switchback', 'create') and has_schema_privilege('switchback', 'usage') end as may_install,
    current_schema()::text as schema,
    current_schema() is not null and has_schema_privilege(current_schema(), 'create') as may_create,
    (select count(*) from pg_class c where c.relnamespace = to_regnamespace(quote_ident(current_schema()))
       and c.relkind in ('r', 'p') and not pg_has_role(c.relowner, 'usage'))::int as "foreign",
    (select min(c.relname) from pg_class c where c.relnamespace = to_regnamespace(quote_ident(current_schema()))
       and c.relkind in ('r', 'p') and not pg_has_role(c.relowner, 'usage')) as example,
    pg_has_role(current_user, 'pg_read_all_stats', 'usage') as reads_stats,
    (select count(*) from pg_stat_replication)::int as replicas,
    (select coalesce(max(setting), '0') from pg_settings where name = 'lock_timeout') as lock,
    (select coalesce(max(setting), '0') from pg_settings where name = 'statement_timeout') as statement,
    (select coalesce(max(setting), '0') from pg_settings where name = 'idle_in_transaction_session_timeout') as idle_transaction,
    (select coalesce(max(setting), '0') from pg_settings where name = 'idle_session_timeout') as idle,
    (select count(*) from pg_prepared_xacts where prepared < now() - interval '${LONG}')::int as prepared`

/** Whether the engine could do its work in a target. */
export function checkTarget(
  name: string,
  url: string,
  clock: () => number,
  storeSkewMs: number | undefined,
): Promise<DatabaseLook> {
  const is = checksOf(`target ${name}`)
  const variable = targetVariable(name)
  return lookAtDatabase(is, url, { variable, connections: CONNECTIONS, clock }, async (on) =>
    judge(is, await read(on)),
  ).then((look) =>
    look.skewMs === undefined || storeSkewMs === undefined
      ? look
      : { ...look, checks: [...look.checks, skewCheck(is, 'the store', look.skewMs - storeSkewMs)] },
  )
}

async function read(on: Queryable): Promise<Facts> {
  const { rows } = await on.query<Facts & Record<string, unknown>>(READ)
  return rows[0] as Facts
}

function judge(is: Checks, facts: Facts): readonly Check[] {
  const { role, schema, replicas } = facts
  const as = `the role ${role}`
  return [
    facts.may_install
      ? is.ok(
          'fence',
          facts.installed ? 'the schema switchback is installed' : `${as} may install the schema switchback`,
        )
      : is.fail(
          'fence',
          `${as} may not ${facts.installed ? 'use and change the schema' : 'make the schema'} switchback, where fence and checkpoints are`,
          facts.installed
            ? `grant usage, create on schema switchback to "${role}", or let the role that made it own it.`
            : `grant create on database … to "${role}", or make it: create schema switchback authorization "${role}".`,
        ),
    facts.may_create
      ? is.ok('create', `${as} may create tables in ${schema}`)
      : is.fail(
          'create',
          `${as} may not create tables in ${schema ?? 'any schema of its search path'}`,
          `grant usage, create on schema ${schema ?? 'public'} to "${role}".`,
        ),
    facts.foreign === 0
      ? is.ok('owner', `${as} owns what migrations change in ${schema ?? 'its search path'}`)
      : is.warn(
          'owner',
          `${facts.foreign} tables of ${schema} belong to others (such as ${facts.example}): ${as} may neither alter nor drop them`,
          `Make "${role}" a member of the role that owns them.`,
        ),
    facts.reads_stats
      ? is.ok(
          'statistics',
          `${as} sees sessions, locks and ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`,
        )
      : is.warn(
          'statistics',
          `${as} does not see what other roles do: replication lag, lock waits and long transactions cannot hold work back`,
          `grant pg_read_all_stats to "${role}".`,
        ),
    timeouts(is, facts),
    facts.prepared === 0
      ? is.ok('prepared', 'no prepared transaction holds locks')
      : is.warn(
          'prepared',
          `${facts.prepared} prepared transactions are older than ${LONG}: they hold locks, and keep sweep and index builds waiting`,
          'End them by commit prepared or rollback prepared: select * from pg_prepared_xacts.',
        ),
  ]
}

/** The engine sets limits of its own for each statement; what ends idle or long sessions ends its work. */
function timeouts(is: Checks, { role, lock, statement, idle_transaction, idle }: Facts): Check {
  const set = [
    ...(statement === '0' ? [] : [`statement_timeout (${statement} ms)`]),
    ...(idle_transaction === '0' ? [] : [`idle_in_transaction_session_timeout (${idle_transaction} ms)`]),
    ...(idle === '0' ? [] : [`idle_session_timeout (${idle} ms)`]),
  ]
  if (set.length === 0) {
    return is.ok(
      'timeouts',
      `no limit ends long work${lock === '0' ? '' : `; lock_timeout is ${lock} ms, and the engine sets its own`}`,
    )
  }
  return is.warn(
    'timeouts',
    `${set.join(' and ')} may end copying, comparing, or the session that holds the executor's lock`,
    `Take it off for this role alone: alter role "${role}" set ${set[0]?.split(' ')[0]} = 0.`,
  )
}
