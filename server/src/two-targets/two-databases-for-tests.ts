import {
  defaultConfig,
  definitionSchema,
  type MigrationConfig,
  type MigrationDefinition,
  type Path,
} from '@switchback/migrations-registry'
import {
  createMigration,
  createRecorder,
  type HalfPort,
  independent,
  MigrationRuntime,
  pgTransaction,
  runtimeOptionsOf,
  systemClock,
  type UntypedOptions,
} from '@switchback/sdk'
import { testDatabase, waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { expect } from 'vitest'
import { openTarget } from '../execution/execution.ts'
import { orderOf } from '../execution/execution-for-tests.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'
import type { Targets } from './pair.ts'
import { pairExecutionOn } from './pair-execution.ts'

export const ID = 'profiles'

export const input = (copy: object = {}) => ({
  id: ID,
  title: 'x',
  copy: {
    from: 'users',
    to: 'profiles',
    toTarget: 'analytics',
    key: { user_id: 'id' },
    columns: { bio: 'bio', tags: 'tags', made_at: 'created_at', code: 'code' },
    ...copy,
  },
})
export const definition = (copy: object = {}): MigrationDefinition => definitionSchema.parse(input(copy))
export const order = (more: Partial<WorkOrder> = {}): WorkOrder => orderOf(definition(), more)

const OLD = `select id::text as key, bio, tags, created_at, rtrim(code) as code from users order by id`
const NEW = `select user_id::text as key, bio, tags, made_at as created_at, code from profiles order by user_id`
export const rowsOf = async (pool: pg.Pool, text: string): Promise<unknown[]> => (await pool.query(text)).rows

export type Tx = { readonly query: pg.Pool['query'] }
export const configOf = (epoch: number, write: 'dual-old' | 'dual-new'): MigrationConfig => ({
  ...defaultConfig(ID),
  epoch,
  phase: 'dual-write',
  write,
})

/** A database with each of the paths, and the work that goes across. */
export interface TwoDatabases {
  readonly old: pg.Pool
  readonly fresh: pg.Pool
  readonly execution: Execution
  readonly targets: Targets
  /** What was read of both tables, in rows, by work that another process does; whole tables that were scanned. */
  scannedBy(work: (other: Execution) => Promise<unknown>): Promise<Readonly<Record<Path, number>>>
  addUsers(count: number): Promise<unknown>
  /** Expects both paths to hold the same rows; how many. */
  equal(): Promise<number>
  /** An instance of the application. */
  instance(
    config: MigrationConfig,
    ports?: { old?: HalfPort<Tx>; new?: HalfPort<Tx> },
  ): ReturnType<typeof instanceOn>
  drop(): Promise<void>
}

let serverOfOld: string | undefined

/** Has old be on another server than new from now on. */
export function oldOn(server: string): void {
  serverOfOld = server
}

/** @param encoding of old */
export async function twoDatabases(encoding?: string): Promise<TwoDatabases> {
  const one = await testDatabase(undefined, { server: serverOfOld, encoding })
  const other = await testDatabase()
  const { pool: old } = one
  const { pool: fresh } = other
  for (const pool of [old, fresh]) {
    // The role of the test server is named like our schema, which "$user" would find first.
    pool.options.onConnect = (client) => client.query('set search_path to public').then(() => undefined)
  }
  const log = { warn: () => undefined }
  const open = (): Targets => ({
    old: openTarget({ url: one.url, log }),
    new: openTarget({ url: other.url, log }),
  })
  const settings = { archiveDir: '/nonexistent', clock: Date.now, fenceWaitMs: 300 }
  const targets = open()
  const execution = pairExecutionOn(targets, settings)
  await old.query(`create table users (id bigint primary key, name text default 'nobody' not null,
    bio text, tags jsonb not null default '[]', created_at timestamptz not null default now(),
    code char(6), score numeric(10,2))`)
  await fresh.query(`create table profiles (user_id bigint primary key, bio text, tags jsonb,
    made_at timestamptz, code varchar(6))`)
  await execution.prepare(ID)
  return {
    old,
    fresh,
    execution,
    targets,
    scannedBy: async (work) => {
      const before = { old: await scanned(old, 'users'), new: await scanned(fresh, 'profiles') }
      const others = [await sessions(old), await sessions(fresh)].flat()
      const process = pairExecutionOn(open(), settings)
      await work(process).finally(() => process.end())
      // What a session has counted is written down before it is gone.
      for (const pool of [old, fresh]) {
        await waitFor(async () => (await sessions(pool)).every((pid) => others.includes(pid)))
      }
      return {
        old: (await scanned(old, 'users')) - before.old,
        new: (await scanned(fresh, 'profiles')) - before.new,
      }
    },
    addUsers: (count) =>
      old.query(
        `insert into users (id, name, bio, tags, code)
         select i, 'user ' || i,
                case i % 5 when 0 then null when 1 then '' else E'line\\n"quoted", {brace} \\\\ ' || i end,
                jsonb_build_array(i, null, 'ü'), case when i % 3 = 0 then null else 'c' || i % 100 end
         from generate_series(1, $1::int) i`,
        [count],
      ),
    equal: async () => {
      const found = await rowsOf(fresh, NEW)
      expect(found).toEqual(await rowsOf(old, OLD))
      return found.length
    },
    instance: (config, ports = {}) => instanceOn(old, fresh, config, ports),
    drop: async () => {
      await execution.end()
      await one.drop()
      await other.drop()
    },
  }
}

async function scanned(pool: pg.Pool, table: string): Promise<number> {
  const rows = await rowsOf(
    pool,
    `select seq_tup_read::int as n from pg_stat_user_tables where relname = '${table}'`,
  )
  return (rows as { n: number }[])[0]?.n ?? 0
}

/** Of the engine, in this database. */
const sessions = async (pool: pg.Pool): Promise<number[]> => {
  const rows = await rowsOf(
    pool,
    `select pid from pg_stat_activity where datname = current_database() and application_name = 'switchback'`,
  )
  return (rows as { pid: number }[]).map(({ pid }) => pid)
}

function instanceOn(
  old: pg.Pool,
  fresh: pg.Pool,
  config: MigrationConfig,
  ports: { old?: HalfPort<Tx>; new?: HalfPort<Tx> },
) {
  const env = {
    instance: 'here',
    clock: systemClock,
    random: () => 0,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    recorder: createRecorder(),
    lease: undefined,
    newer: async () => false,
  }
  const options = {
    key: (id: string) => id,
    transaction: independent<Tx>({ old: pgTransaction(old), new: pgTransaction(fresh), ...ports }),
    write: {
      old: (id: string, tx: Tx, bio: string) =>
        tx.query(
          'insert into users (id, bio) values ($1, $2) on conflict (id) do update set bio = excluded.bio',
          [id, bio],
        ),
      new: (id: string, tx: Tx, bio: string) =>
        tx.query(
          `insert into profiles (user_id, bio, tags, made_at) values ($1, $2, '[]', 'epoch')
           on conflict (user_id) do update set bio = excluded.bio`,
          [id, bio],
        ),
    },
    remove: {
      old: (id: string, tx: Tx) => tx.query('delete from users where id = $1', [id]),
      new: (id: string, tx: Tx) => tx.query('delete from profiles where user_id = $1', [id]),
    },
  }
  const runtime = new MigrationRuntime(
    ID,
    runtimeOptionsOf(options as unknown as UntypedOptions),
    env,
    () => undefined,
  )
  runtime.apply(config)
  return { runtime, migration: createMigration(env, runtime) }
}

/** A port that does something right before its half commits second. */
const beforeCommit = (pool: pg.Pool, first: (tx: Tx) => Promise<unknown>): HalfPort<Tx> => {
  const port = pgTransaction(pool)
  return {
    ...port,
    beginHalf: async (guard, question) => {
      const half = await port.beginHalf(guard, question)
      return {
        ...half,
        commit: async () => {
          await first(half.tx)
          return half.commit()
        },
      }
    },
  }
}

/** A port that loses its connection right before it would commit second. */
export const dying = (pool: pg.Pool): HalfPort<Tx> =>
  beforeCommit(pool, async (tx) => {
    const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid')
    await pool.query('select pg_terminate_backend($1)', [rows[0]?.pid])
  })

/** Until somebody waits for a lock in this database. */
export const somebodyWaits = (pool: pg.Pool): Promise<boolean> =>
  waitFor(async () => {
    const waits = await rowsOf(
      pool,
      `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    )
    return waits.length > 0
  })

/** An instance that stops between the commit of old and that of new, until it is let go on. */
export function slowInstance({ fresh, instance }: TwoDatabases, config: MigrationConfig) {
  let letGo = (): void => undefined
  let arrived = (): void => undefined
  const reached = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const free = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const slow = beforeCommit(fresh, () => {
    arrived()
    return free
  })
  return { ...instance(config, { new: slow }), reached, letGo: () => letGo() }
}
