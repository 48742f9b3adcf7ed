import { pgTransaction } from '@switchback/sdk'
import { createExecution, createTarget, type Execution, executionOn, type Target } from '@switchback/server'
import pg from 'pg'
import { type DatabaseTemplate, type TestDatabase, testDatabase } from '../support/index.ts'
import type { ClientOptions, Port } from './client.ts'
import type { Difference, Initial, Isolation, Rows } from './history.ts'
import { MIGRATION } from './migration.ts'
import { rememberedTarget } from './remembered-target.ts'
import { type PoolHooks, steppedPool } from './stepped-pool.ts'
import { type Rewrite, steppedTarget } from './stepped-target.ts'
import type { Actor, Stepper } from './stepper.ts'

/** One database, or one for each path, with connections that stay for many rounds. */
export interface Laboratory {
  /** What an application writes through. */
  port(hooks: PoolHooks, level: Isolation, options: ClientOptions): Port
  /** An engine that takes its steps as an actor. */
  engine(actor: Actor, stepper: Stepper, rewrite: Rewrite): Execution
  /** The engine without a scheduler. */
  readonly execution: Execution
  /** Brings both tables, the queue, the checkpoints and the fence to where a round begins. */
  reset(initial: Initial, more?: string): Promise<void>
  /** Backends that wait for a lock. */
  waiting(): Promise<ReadonlySet<number>>
  /** Keys in which the paths differ, or for which a repair is queued. */
  differences(): Promise<readonly Difference[]>
  rows(): Promise<{ readonly old: Rows; readonly new: Rows }>
  close(): Promise<void>
}

const TEMPLATE: DatabaseTemplate = {
  name: 'isolation',
  fill: async (pool) => {
    const url = pool.options.connectionString ?? ''
    await pool.query('create table public.old_rows (id int primary key, v text)')
    await pool.query('create table public.new_rows (row_id int primary key, v text)')
    const execution = createExecution({ ...common, url })
    await execution.prepare(MIGRATION)
    await execution.end()
  },
}

export const common = {
  log: { warn: () => undefined },
  archiveDir: '/nonexistent',
  clock: Date.now,
  random: () => 0,
}

export const values = (rows: Rows): string =>
  Object.entries(rows)
    .map(([key, value]) => `(${key}, '${value}')`)
    .join(', ')

function resetText(initial: Initial): string {
  const fill = (table: string, rows: Rows): string =>
    Object.keys(rows).length === 0 ? '' : `insert into ${table} values ${values(rows)};`
  const minimum = initial.minimum ?? 1
  return `
    delete from old_rows; delete from new_rows; delete from switchback.repairs;
    delete from switchback.copies; delete from switchback.checkpoints; delete from switchback.failed_rows;
    update switchback.fences set passed = ${minimum};
    select setval('switchback."minimum:${MIGRATION}"', ${minimum});
    ${fill('old_rows', initial.old)} ${fill('new_rows', initial.new)}`
}

export async function openLaboratory(): Promise<Laboratory> {
  const database: TestDatabase = await testDatabase(TEMPLATE)
  const { url } = database
  // The role of the test server is named like our schema, which "$user" would find first.
  const inPublic = { connectionString: url, options: '-c search_path=public' }
  const pool = new pg.Pool({
    connectionString: url,
    // The application's own deadlocks (two keys in opposite orders) are not waited for at length.
    options: '-c search_path=public -c deadlock_timeout=20ms',
    max: 12,
    application_name: 'application',
  })
  pool.on('error', () => undefined)
  const monitor = new pg.Client({ ...inPublic, application_name: 'monitor' })
  await monitor.connect()
  const opened = createTarget({ url, name: 'engine', max: 12, onIdleError: () => undefined })
  const target = rememberedTarget(opened)
  let resets = 0
  return {
    port: (hooks, level) => pgTransaction(steppedPool({ ...hooks, pool }), { isolation: level, retries: 10 }),
    engine: (actor, stepper, rewrite) => engineOver(steppedTarget(target, actor, stepper, rewrite)),
    execution: engineOver(target),
    reset: async (initial, more = '') => {
      resets += 1
      // Dead rows would pile up: nobody vacuums between two rounds.
      if (resets % 200 === 0) await monitor.query('truncate old_rows, new_rows, switchback.repairs')
      await monitor.query(`${resetText(initial)}; ${more}`)
    },
    waiting: async () => {
      const { rows } = await monitor.query<{ pid: number }>('select pid from pg_locks where not granted')
      return new Set(rows.map(({ pid }) => pid))
    },
    differences: async () => {
      const { rows } = await monitor.query<Difference>(`
        select coalesce(id, row_id, r.key::int) as key, o.v as old, n.v as new, r.path as queued
        from old_rows o full join new_rows n on id = row_id
          full join switchback.repairs r on r.key::int = coalesce(id, row_id)
        where o.v is distinct from n.v or r.key is not null order by 1`)
      return rows
    },
    rows: async () => {
      const { rows } = await monitor.query<{ old: Rows; new: Rows }>(`select
        (select coalesce(json_object_agg(id, v), '{}') from old_rows) as old,
        (select coalesce(json_object_agg(row_id, v), '{}') from new_rows) as new`)
      return rows[0] ?? { old: {}, new: {} }
    },
    close: async () => {
      await Promise.all([pool.end(), monitor.end(), opened.end()])
      await database.drop()
    },
  }
}

const engineOver = (target: Target): Execution => executionOn(target, { ...common, workers: 1 })
