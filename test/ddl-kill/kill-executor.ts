import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { spawnNode } from '../support/spawn-node.ts'
import { BEFORE, STATEMENTS } from './script.ts'

const EXECUTOR = fileURLToPath(new URL('../dist/ddl-kill/executor.js', import.meta.url)).replace(
  '/dist/dist/',
  '/dist/',
)

export interface EndState {
  /** Rows of every table as text, and what the catalog says of objects. */
  readonly rows: readonly string[]
  readonly objects: readonly string[]
}

async function endState(pool: pg.Pool): Promise<EndState> {
  const rows: string[] = []
  for (const table of ['rides', 'audit', 'days', 'days_1', 'days_2', 'riders']) {
    const { rows: found } = await pool.query(
      `select count(*) as n, sum(hashtextextended(t::text, 0)) as sum from ${table} t`,
    )
    rows.push(`${table}: ${JSON.stringify(found[0])}`)
  }
  const { rows: objects } = await pool.query<{ text: string }>(
    `select format('%s %s', c.relkind, c.relname) || coalesce(' ' || i.indisvalid || i.indisready, '')
       || coalesce(' partition ' || c.relispartition, '') as text
     from pg_class c left join pg_index i on i.indexrelid = c.oid
     where c.relnamespace = 'public'::regnamespace
     union all select format('constraint %s %s', conname, convalidated) from pg_constraint
       where connamespace = 'public'::regnamespace
     union all select format('column %s %s', attrelid::regclass, attname) || attnotnull from pg_attribute
       where attrelid = 'rides'::regclass and attnum > 0
     union all select format('label %s', enumlabel) from pg_enum
     order by 1`,
  )
  return { rows, objects: objects.map(({ text }) => text) }
}

/** Runs the script undisturbed. */
export async function undisturbed(url: string): Promise<EndState> {
  return onDatabase(url, async (pool) => {
    await pool.query(BEFORE)
    await spawnNode([EXECUTOR, url]).sees(/done/)
    return endState(pool)
  })
}

export interface Kill {
  readonly statement: number
  /** Milliseconds after the executor has said that it is there. */
  readonly after: number
}

/** Places to kill at: every statement in turn, at a moment by the seed. */
export function killsOf(count: number, seed: number): readonly Kill[] {
  let state = seed >>> 0
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  // Fewer kills than statements are spread over all of them.
  const stride = Math.max(1, STATEMENTS / count)
  return Array.from({ length: count }, (_, i) => ({
    statement: Math.floor(i * stride) % STATEMENTS,
    after: Math.round(random() ** 2 * 60),
  }))
}

/** Kills the executor at each of these places, until the script is through; returns how many kills hit. */
export async function killed(
  url: string,
  kills: readonly Kill[],
): Promise<{ readonly state: EndState; readonly hits: number }> {
  return onDatabase(url, async (pool) => {
    await pool.query(BEFORE)
    let hits = 0
    for (const { statement, after } of kills) {
      const executor = spawnNode([EXECUTOR, url])
      const seen = await executor.sees(new RegExp(`at ${statement}\\n|done`)).catch(() => undefined)
      if (seen === undefined) throw new Error(executor.output())
      if (seen[0] === 'done') break
      await new Promise((resolve) => setTimeout(resolve, after))
      const { signal } = await executor.kill()
      if (signal === 'SIGKILL') hits += 1
    }
    await spawnNode([EXECUTOR, url]).sees(/done/)
    return { state: await endState(pool), hits }
  })
}

async function onDatabase<T>(url: string, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = new pg.Pool({ connectionString: url, max: 2 })
  pool.on('error', () => undefined)
  try {
    return await work(pool)
  } finally {
    await pool.end()
  }
}
