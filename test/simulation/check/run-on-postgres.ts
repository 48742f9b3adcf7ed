import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { type Outcome, ROWS, type Script, tell } from './script.ts'
import { codeOf, type Memory, MIGRATION, VERBS } from './verbs.ts'

const folder = new URL('../../../server/src/target/sql/', import.meta.url)
const sqlOf = (file: string): string => readFileSync(fileURLToPath(new URL(file, folder)), 'utf8')

export interface PostgresRunner {
  run(script: Script): Promise<Outcome>
  end(): Promise<void>
}

/** Runs scripts on a real PostgreSQL, in which the fence and the repairs are those of the product. */
export async function postgresRunner(url: string): Promise<PostgresRunner> {
  const watcher = await connect(url, 'watcher')
  await watcher.query(
    'create table old (id text primary key, v text); create table new (like old including all)',
  )
  await watcher.query(sqlOf('target-schema.sql'))
  await watcher.query(sqlOf('fence.sql').replaceAll(':id', MIGRATION))
  const clients = new Map<string, Client>()
  return {
    run: (script) => runScript(script, url, watcher, clients),
    end: async () => {
      await Promise.all([watcher.end(), ...[...clients.values()].map(({ on }) => on.end())])
    },
  }
}

interface Client {
  readonly on: pg.Client
  readonly pid: number
}

async function runScript(
  { steps }: Script,
  url: string,
  watcher: pg.Client,
  clients: Map<string, Client>,
): Promise<Outcome> {
  await reset(watcher)
  const impatient = new Set(steps.filter((step) => step.endsByItself).map((step) => step.session))
  const names = [...new Set(steps.map((step) => step.session))]
  for (const name of names) {
    const client = clients.get(name) ?? (await openClient(url, name))
    clients.set(name, client)
    await client.on.query(`set deadlock_timeout = ${impatient.has(name) ? "'20ms'" : "'1h'"}`)
  }
  const pids = names.map((name) => clients.get(name)?.pid ?? 0)
  const memory: Memory = { xid: '0' }
  const waiting = new Map<string, number>()
  let settled = new Map<string, string>()
  const outcome: string[] = []
  try {
    for (const step of steps) {
      const verb = VERBS[step.verb]
      const client = clients.get(step.session)
      if (verb === undefined || client === undefined) throw new Error(`no verb ${step.verb}`)
      const settle = (told: string) => {
        waiting.delete(step.session)
        settled.set(step.session, told)
      }
      settled = new Map()
      waiting.set(step.session, client.pid)
      client.on
        .query(verb.sql(step.args, memory))
        .then((result: pg.QueryResult | pg.QueryResult[]) => {
          const last = Array.isArray(result) ? result.at(-1) : result
          settle(last === undefined ? 'ok' : verb.answer(last, memory))
        })
        .catch((error: unknown) => settle(codeOf(error)))
      await atRest(watcher, pids, waiting, step.endsByItself ? step.session : undefined)
      outcome.push(tell(step, settled, new Set(waiting.keys())))
    }
  } finally {
    await release(watcher, names, clients)
  }
  return outcome
}

/** Until every statement has ended or waits for a lock; `unless` has to end. */
async function atRest(
  watcher: pg.Client,
  pids: readonly number[],
  waiting: ReadonlyMap<string, number>,
  unless: string | undefined,
): Promise<void> {
  while (waiting.size > 0) {
    const before = waiting.size
    const outstanding = new Set(waiting.values())
    // An error is told before the transaction is rolled back and its locks are let go.
    const busy = await watcher.query(
      `select from pg_stat_activity where pid = any($1) and state = 'active'`,
      [pids.filter((pid) => !outstanding.has(pid))],
    )
    if (busy.rows.length > 0) continue
    const { rows } = await watcher.query<{ pid: number }>(
      'select pid from pg_locks where not granted and pid = any($1)',
      [[...waiting.values()]],
    )
    // Answers that have arrived meanwhile are read first.
    await setImmediate()
    const held = new Set(rows.map((row) => row.pid))
    // Who has just ended may have let others go on since the locks were looked at.
    if (waiting.size < before) continue
    if (unless !== undefined && waiting.has(unless)) continue
    if ([...waiting.values()].every((pid) => held.has(pid))) return
  }
}

/** Cancels what still waits and lets go of everything. */
async function release(
  watcher: pg.Client,
  names: readonly string[],
  clients: ReadonlyMap<string, Client>,
): Promise<void> {
  await watcher.query(
    `select pg_cancel_backend(l.pid) from pg_locks l join pg_stat_activity a using (pid)
     where not l.granted and a.datname = current_database()`,
  )
  for (const name of names) {
    const client = clients.get(name)
    await client?.on.query('rollback')
    await client?.on.query('select pg_advisory_unlock_all()')
  }
}

async function reset(watcher: pg.Client): Promise<void> {
  await watcher.query('truncate old, new, switchback.repairs')
  await watcher.query(`select setval('switchback."minimum:m"', 0)`)
  for (const [name, rows] of Object.entries(ROWS)) {
    for (const [id, v] of Object.entries(rows)) {
      await watcher.query(`insert into ${name} (id, v) values ($1, $2)`, [id, v])
    }
  }
}

async function openClient(url: string, name: string): Promise<Client> {
  const on = await connect(url, name)
  // Small tables would be read as a whole otherwise, and all of them count as read for SERIALIZABLE.
  await on.query('set enable_seqscan = off; set enable_bitmapscan = off')
  const { rows } = await on.query<{ pid: number }>('select pg_backend_pid() as pid')
  return { on, pid: rows[0]?.pid ?? 0 }
}

async function connect(url: string, name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: name })
  await client.connect()
  return client
}
