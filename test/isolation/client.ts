import { type MigrationConfig, WRITE_ROUTES } from '@switchback/migrations-registry'
import {
  createMigration,
  createRecorder,
  type HalfPort,
  type Independent,
  type MigrationOptions,
  MigrationRuntime,
  type OpenTransaction,
  type RouterEnv,
  runTransaction,
  runtimeOptionsOf,
  systemClock,
  type TransactionPort,
  type UntypedOptions,
} from '@switchback/sdk'
import type pg from 'pg'
import type { Change, Commit, History } from './history.ts'
import { MIGRATION } from './migration.ts'

import type { PoolHooks } from './stepped-pool.ts'
import type { Actor, Stepper } from './stepper.ts'

export interface ClientOptions {
  /** The path whose handlers fail for this key, in the middle of their work. */
  readonly failing?: { readonly path: 'old' | 'new'; readonly key: number }
  /** The path in whose database the process dies when it is about to commit there second. */
  readonly dying?: 'old' | 'new'
  /** Changes the port to each database: guards that are taken out. */
  readonly half?: ((port: HalfPort<Tx>) => HalfPort<Tx>) | undefined
}

export interface ClientDeps {
  readonly name: string
  readonly config: MigrationConfig
  readonly options: ClientOptions
  /** Makes the port to the target, or to both. */
  readonly port: (hooks: PoolHooks) => Port
  readonly stepper: Stepper
  readonly rewrite: PoolHooks['rewrite']
  readonly onCommit: (commit: Commit) => void
  readonly onDeadlock: () => void
  readonly onRead: (read: History['reads'][number]) => void
}

/** An application instance: the router of the SDK over a stepped pool. */
export interface Client {
  readonly name: string
  actor: Actor | undefined
  apply(config: MigrationConfig): void
  /** Until nothing is under way, not even what its callers do not wait for. */
  idle(): Promise<void>
  /** Inserts or updates. */
  put(key: number, value: string): Promise<void>
  /** Updates where there is a row. */
  change(key: number, value: string): Promise<void>
  remove(key: number): Promise<void>
  read(key: number): Promise<void>
  /** Looks at something of its own first, then writes; in one transaction. */
  lookThenPut(key: number, value: string): Promise<void>
  /** Both keys in one transaction, in this order. */
  putBoth(first: number, second: number, value: string): Promise<void>
}

/** Whether an error is the one that `failing` makes. */
export const isPlanted = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '22012'

export type Tx = { readonly query: pg.Pool['query'] }
/** To one database with both paths, or to one for each. */
export type Port = TransactionPort<Tx> | Independent<Tx>
type How = 'put' | 'change'
type Options = MigrationOptions<number, Tx, [], string | null, [how: How, value: string], void, [], void>

type Path = 'old' | 'new'

const TABLES = { old: { name: 'old_rows', key: 'id' }, new: { name: 'new_rows', key: 'row_id' } } as const

export function createClient(deps: ClientDeps): Client {
  const { name, stepper } = deps
  const { failing } = deps.options
  // What the transaction in hand changes; known in full when its commit comes back.
  let changes: (Change & { readonly path: Path })[] = []
  const leaders = new Map<number, Path>()
  const note = (path: Path, key: number, value: string | null): void => {
    changes = [...changes.filter((other) => other.key !== key || other.path !== path), { path, key, value }]
  }
  let acknowledged = false
  const port = deps.port({
    actor: () => client.actor,
    stepper,
    rewrite: deps.rewrite,
    onDeadlock: deps.onDeadlock,
    onBegin: () => {
      changes = []
      acknowledged = false
    },
    // What was acknowledged is what the leader of that epoch has done; of two databases, what the first has.
    onCommit: (committed) => {
      if (acknowledged) return
      acknowledged = true
      const leader = committed.path ?? leaders.get(committed.epoch ?? 0)
      deps.onCommit({ ...committed, changes: changes.filter(({ path }) => path === leader) })
    },
  })
  const env: RouterEnv = {
    instance: name,
    clock: systemClock,
    random: () => 0,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    recorder: createRecorder(),
    lease: undefined,
    newer: async (_, epoch) => {
      const heard = (): boolean => runtime.ledger.applied > epoch
      if (!heard()) await client.actor?.permit({ label: `hears of an epoch after ${epoch}`, ready: heard })
      return heard()
    },
  }

  const spoil = async (path: Path, key: number, tx: Tx): Promise<void> => {
    if (failing?.path !== path || failing.key !== key) return
    await tx.query(`insert into ${TABLES[path].name} values ($1, 'half done')`, [key + 100])
    await tx.query('select 1 / 0')
  }
  const save =
    (path: Path) =>
    async (key: number, tx: Tx, how: How, value: string): Promise<void> => {
      await spoil(path, key, tx)
      const { name: table, key: column } = TABLES[path]
      if (how === 'put') {
        await tx.query(
          `insert into ${table} values ($1, $2) on conflict (${column}) do update set v = excluded.v`,
          [key, value],
        )
        return note(path, key, value)
      }
      const { rowCount } = await tx.query(`update ${table} set v = $2 where ${column} = $1`, [key, value])
      if (rowCount === 1) note(path, key, value)
    }
  const take =
    (path: Path) =>
    async (key: number, tx: Tx): Promise<void> => {
      await spoil(path, key, tx)
      const { name: table, key: column } = TABLES[path]
      const { rowCount } = await tx.query(`delete from ${table} where ${column} = $1`, [key])
      // One that saw no row, by its snapshot, counts as having come before whoever wrote it.
      if (rowCount === 1) note(path, key, null)
    }
  const look =
    (path: Path) =>
    async (key: number, tx: Tx): Promise<string | null> => {
      const { name: table, key: column } = TABLES[path]
      const { rows } = await tx.query<{ v: string }>(`select v from ${table} where ${column} = $1`, [key])
      return rows[0]?.v ?? null
    }

  const options: Options = {
    key: (id) => id,
    transaction: port,
    read: { old: look('old'), new: look('new') },
    write: { old: save('old'), new: save('new') },
    remove: { old: take('old'), new: take('new') },
  }
  const runtime = new MigrationRuntime(
    MIGRATION,
    runtimeOptionsOf(options as unknown as UntypedOptions),
    env,
    () => undefined,
  )
  const apply = (config: MigrationConfig): void => {
    leaders.set(config.epoch, WRITE_ROUTES[config.write].leader)
    runtime.apply(config)
  }
  apply(deps.config)
  const migration = createMigration(env, runtime)

  const inOne = async (work: (open: OpenTransaction) => Promise<unknown>): Promise<void> => {
    if ('kind' in port) throw new Error('no transaction spans two databases')
    await runTransaction(env, port, work)
  }
  const client: Client = {
    name,
    actor: undefined,
    apply,
    idle: () => runtime.ledger.untilIdle(),
    put: async (key, value) => {
      await migration.write(key, 'put', value)
    },
    change: async (key, value) => {
      await migration.write(key, 'change', value)
    },
    remove: async (key) => {
      await migration.remove(key)
    },
    read: async (key) => {
      const from = stepper.now
      const value = await migration.read(key)
      deps.onRead({ key, value: typeof value === 'string' ? value : null, from, to: stepper.now })
    },
    lookThenPut: (key, value) =>
      inOne(async (open) => {
        await (open.db as Tx).query('select count(*) from new_rows')
        await migration.in(open).write(key, 'put', value)
      }),
    putBoth: (first, second, value) =>
      inOne(async (open) => {
        await migration.in(open).write(first, 'put', value)
        await migration.in(open).write(second, 'put', value)
      }),
  }
  return client
}
