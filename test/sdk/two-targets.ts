import { readFileSync } from 'node:fs'
import type { MigrationConfig } from '@switchback/migrations-registry'
import {
  createMigration,
  createRecorder,
  type HalfPort,
  independent,
  type MigrationOptions,
  MigrationRuntime,
  pgTransaction,
  type RouterEnv,
  runtimeOptionsOf,
  type SecondaryFailure,
  systemClock,
  type UntypedOptions,
} from '@switchback/sdk'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/index.ts'
import { readNew, readOld, saveNew, saveOld } from './target.ts'

const MIGRATION = 'user-profiles'
const sqlOf = (name: string): string =>
  readFileSync(new URL(`../../server/src/target/sql/${name}`, import.meta.url), 'utf8')

const half = (table: string, key: string) => ({
  name: `sdk_half_${table}`,
  fill: async (pool: pg.Pool) => {
    await pool.query(`create table ${table} (${key} text primary key, bio text)`)
    await pool.query(sqlOf('target-schema.sql'))
    await pool.query(sqlOf('fence.sql').replaceAll(':id', MIGRATION))
  },
})

/** Two databases, one with each path. */
export interface TwoTargets {
  readonly old: TestDatabase
  readonly new: TestDatabase
  empty(): Promise<void>
  drop(): Promise<void>
}

export async function twoTargets(): Promise<TwoTargets> {
  const old = await testDatabase(half('users', 'id'))
  const fresh = await testDatabase(half('user_profiles', 'user_id'))
  return {
    old,
    new: fresh,
    empty: async () => {
      await old.pool.query('truncate users, switchback.repairs, switchback.intents')
      await fresh.pool.query('truncate user_profiles, switchback.repairs, switchback.intents')
    },
    drop: async () => {
      await old.drop()
      await fresh.drop()
    },
  }
}

/** What waits for repair, in both databases. */
export async function waiting(on: TwoTargets): Promise<readonly unknown[]> {
  const text = `select 'repair' as kind, key, path, epoch::int from switchback.repairs
    union all select 'intent', key, path, epoch::int from switchback.intents order by 2`
  const rows = await Promise.all([on.old.pool.query(text), on.new.pool.query(text)])
  return rows.flatMap((result, i) => result.rows.map((row) => ({ ...row, in: i === 0 ? 'old' : 'new' })))
}

export async function bios(on: TwoTargets): Promise<{ old: unknown; new: unknown }> {
  const old = await on.old.pool.query(
    `select coalesce(json_object_agg(id, bio order by id), '{}') as all from users`,
  )
  const fresh = await on.new.pool.query(
    `select coalesce(json_object_agg(user_id, bio order by user_id), '{}') as all from user_profiles`,
  )
  return { old: old.rows[0].all, new: fresh.rows[0].all }
}

export type Tx = { readonly query: pg.Pool['query'] }
type Options = MigrationOptions<string, Tx, [], string | undefined, [bio: string], unknown, [], unknown>

/** A router over two real targets, without a server: the test says what epoch it is. */
export function routedTo(
  on: TwoTargets,
  config: MigrationConfig,
  options: Partial<Options> & {
    readonly ports?: { readonly old?: HalfPort<Tx>; readonly new?: HalfPort<Tx> }
    readonly newer?: (runtime: MigrationRuntime) => boolean
  } = {},
) {
  const { ports, newer, ...overrides } = options
  const recorder = createRecorder()
  const failures: SecondaryFailure[] = []
  const env: RouterEnv = {
    instance: 'here',
    clock: systemClock,
    random: () => 0,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    recorder,
    lease: undefined,
    newer: async () => newer?.(runtime) ?? false,
  }
  const full: Options = {
    key: (id) => id,
    transaction: independent<Tx>({
      old: pgTransaction(on.old.pool),
      new: pgTransaction(on.new.pool),
      ...ports,
    }),
    read: { old: readOld, new: readNew },
    write: { old: saveOld, new: saveNew },
    remove: {
      old: (id, tx) => tx.query('delete from users where id = $1', [id]),
      new: (id, tx) => tx.query('delete from user_profiles where user_id = $1', [id]),
    },
    onSecondaryError: (failure) => failures.push(failure),
    ...overrides,
  }
  const runtime = new MigrationRuntime(
    MIGRATION,
    runtimeOptionsOf(full as unknown as UntypedOptions),
    env,
    () => undefined,
  )
  runtime.apply(config)
  return { runtime, migration: createMigration(env, runtime), recorder, failures }
}

/** A port whose half transactions are changed on the way. */
export const wrapped = (
  pool: pg.Pool,
  change: (half: Awaited<ReturnType<HalfPort<Tx>['beginHalf']>>) => Partial<typeof half>,
): HalfPort<Tx> => {
  const port = pgTransaction(pool)
  return {
    ...port,
    beginHalf: async (guard, other) => {
      const opened = await port.beginHalf(guard, other)
      return { ...opened, ...change(opened) }
    },
  }
}
