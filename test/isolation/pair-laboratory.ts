import { type HalfPort, independent, pgTransaction } from '@switchback/sdk'
import {
  createExecution,
  createTarget,
  type Execution,
  pairExecutionOn,
  type Targets,
} from '@switchback/server'
import pg from 'pg'
import { type DatabaseTemplate, testDatabase } from '../support/index.ts'
import type { ClientOptions, Tx } from './client.ts'
import type { Difference, Initial, Rows } from './history.ts'
import { inTurn } from './in-turn.ts'
import { common, type Laboratory, values } from './laboratory.ts'
import { MIGRATION } from './migration.ts'
import { rememberedTarget } from './remembered-target.ts'
import { steppedPool } from './stepped-pool.ts'
import { steppedTarget } from './stepped-target.ts'

const PATHS = ['old', 'new'] as const
type Path = (typeof PATHS)[number]
const TABLES = { old: { name: 'old_rows', key: 'id' }, new: { name: 'new_rows', key: 'row_id' } } as const

const templateOf = (path: Path): DatabaseTemplate => ({
  name: `isolation_${path}`,
  fill: async (pool) => {
    const { name, key } = TABLES[path]
    await pool.query(`create table public.${name} (${key} int primary key, v text)`)
    const execution = createExecution({ ...common, url: pool.options.connectionString ?? '' })
    await execution.prepare(MIGRATION)
    await execution.end()
    // An intent is taken for left over at once: nothing may hang on its age.
    await pool.query(`alter table switchback.intents
      alter written_at set default clock_timestamp() - interval '1 minute'`)
  },
})

/** Statements of the work across two databases whose time makes a difference. */
const TOUCHES =
  /"(old|new)_rows"|switchback\.lock_key|left_over|(select key|delete) from switchback\.repairs|"raise:|select pg_advisory_lock\(/
/** Bounds of ranges that hold everything, and estimates. */
const PREPARATION = /offset 9999 limit 1|^select count\(\*\) as count from/

function stepLabel(path: Path, text: string): string | undefined {
  if (PREPARATION.test(text) || !TOUCHES.test(text)) return undefined
  return `${path}: ${text.replaceAll(/\s+/g, ' ').trim().slice(0, 60)}`
}

/** What is committed second does not come to it: the process is gone, and its connections with it. */
function dyingAt(port: HalfPort<Tx>, dies: () => Promise<void>): HalfPort<Tx> {
  return {
    ...port,
    beginHalf: async (guard, question) => {
      const half = await port.beginHalf(guard, question)
      return {
        ...half,
        commit: async () => {
          await dies()
          await half.rollback()
          throw new Error('the process has died')
        },
      }
    },
  }
}

async function openDatabase(path: Path) {
  const database = await testDatabase(templateOf(path))
  const { url } = database
  const pool = new pg.Pool({
    connectionString: url,
    options: '-c search_path=public',
    max: 12,
    application_name: 'application',
  })
  pool.on('error', () => undefined)
  const monitor = new pg.Client({ connectionString: url, options: '-c search_path=public' })
  await monitor.connect()
  const opened = createTarget({ url, name: 'engine', max: 12, onIdleError: () => undefined })
  const { name, key } = TABLES[path]
  const other = path === 'old' ? 'new' : 'old'
  let resets = 0
  return {
    pool,
    monitor,
    target: rememberedTarget(opened),
    reset: async (initial: Initial, more: string) => {
      resets += 1
      const mine = initial[path]
      const minimum = initial.minimum ?? 1
      // Dead rows would pile up: nobody vacuums between two rounds.
      const clear = resets % 200 === 0 ? 'truncate' : 'delete from'
      await monitor.query(`
        ${['repairs', 'intents'].map((table) => `${clear} switchback.${table};`).join(' ')} ${clear} ${name};
        delete from switchback.copies; delete from switchback.checkpoints; delete from switchback.failed_rows;
        update switchback.fences set passed = ${minimum};
        select setval('switchback."minimum:${MIGRATION}"', ${minimum});
        ${Object.keys(mine).length === 0 ? '' : `insert into ${name} values ${values(mine)};`} ${more}`)
    },
    rows: async (): Promise<Rows> => {
      const { rows } = await monitor.query<{ rows: Rows }>(
        `select coalesce(json_object_agg(${key}, v), '{}') as rows from ${name}`,
      )
      return rows[0]?.rows ?? {}
    },
    /** Keys whose other path is known to be behind. */
    behind: async (): Promise<ReadonlySet<number>> => {
      const { rows } = await monitor.query<{ key: number }>(
        `select key::int from switchback.repairs where path = $1
         union select key::int from switchback.intents where path = $1`,
        [other],
      )
      return new Set(rows.map((row) => row.key))
    },
    close: async () => {
      await Promise.all([pool.end(), monitor.end(), opened.end()])
      await database.drop()
    },
  }
}

function waiting(old: boolean, fresh: boolean): Difference['queued'] {
  if (old && fresh) return 'both'
  return old ? 'old' : fresh ? 'new' : null
}

/** A database with each of the paths. Only READ COMMITTED: independent mode knows no other. */
export async function openPairLaboratory(): Promise<Laboratory> {
  const on = { old: await openDatabase('old'), new: await openDatabase('new') }
  const executionOver = (targets: Targets): Execution => pairExecutionOn(targets, { ...common, workers: 1 })
  const rows = async () => ({ old: await on.old.rows(), new: await on.new.rows() })
  return {
    port: (hooks, _level, { dying, half = (port) => port }: ClientOptions) => {
      const actor = inTurn(hooks.actor)
      const portOf = (path: Path): HalfPort<Tx> => {
        const pool = steppedPool({ ...hooks, actor, pool: on[path].pool, path })
        const port = half(pgTransaction(pool, { retries: 10 }))
        if (path !== dying) return port
        return dyingAt(port, async () => actor()?.permit({ label: `${path}: dies` }))
      }
      return independent<Tx>({ old: portOf('old'), new: portOf('new') })
    },
    engine: (actor, stepper, rewrite) => {
      // It asks both databases at once; a step is one statement.
      const one = inTurn(() => actor)
      const stepped = (path: Path) =>
        steppedTarget(on[path].target, one() ?? actor, stepper, rewrite, (text) => stepLabel(path, text))
      return executionOver({ old: stepped('old'), new: stepped('new') })
    },
    execution: executionOver({ old: on.old.target, new: on.new.target }),
    reset: async (initial, more = '') => {
      for (const path of PATHS) await on[path].reset(initial, more)
    },
    waiting: async () => {
      // Of the whole server, on which both are.
      const { rows: waits } = await on.old.monitor.query<{ pid: number }>(
        'select pid from pg_locks where not granted',
      )
      return new Set(waits.map(({ pid }) => pid))
    },
    differences: async () => {
      const { old, new: fresh } = await rows()
      const queued = { new: await on.old.behind(), old: await on.new.behind() }
      const keys = new Set([...Object.keys(old), ...Object.keys(fresh)].map(Number))
      for (const path of PATHS) for (const key of queued[path]) keys.add(key)
      return [...keys]
        .sort((a, b) => a - b)
        .map(
          (key): Difference => ({
            key,
            old: old[key] ?? null,
            new: fresh[key] ?? null,
            queued: waiting(queued.old.has(key), queued.new.has(key)),
          }),
        )
        .filter((each) => each.old !== each.new || each.queued !== null)
    },
    rows,
    close: async () => {
      for (const path of PATHS) await on[path].close()
    },
  }
}
