import { readFileSync } from 'node:fs'
import {
  defaultConfig,
  type MigrationConfig,
  type ReadVariant,
  type WriteVariant,
} from '@switchback/migrations-registry'
import {
  type Clock,
  createMigration,
  createRecorder,
  type MigrationOptions,
  MigrationRuntime,
  type PgTransactionOptions,
  pgTransaction,
  type RouterEnv,
  runtimeOptionsOf,
  type SecondaryFailure,
  systemClock,
  type UntypedOptions,
} from '@switchback/sdk'
import type pg from 'pg'
import { type DatabaseTemplate, type TestDatabase, testDatabase } from '../support/index.ts'

const MIGRATION = 'user-profiles'
const sqlOf = (name: string): string =>
  readFileSync(new URL(`../../server/src/target/sql/${name}`, import.meta.url), 'utf8')

const TEMPLATE: DatabaseTemplate = {
  name: 'sdk_target',
  fill: async (pool) => {
    await pool.query('create table users (id text primary key, bio text, n int not null default 0)')
    await pool.query(
      'create table user_profiles (user_id text primary key, bio text, n int not null default 0)',
    )
    await pool.query(sqlOf('target-schema.sql'))
    await pool.query(sqlOf('fence.sql').replaceAll(':id', MIGRATION))
  },
}

export const fencedTarget = (): Promise<TestDatabase> => testDatabase(TEMPLATE)

export const configOf = (
  epoch: number,
  write: WriteVariant,
  read: ReadVariant = 'old',
  more: Partial<MigrationConfig> = {},
): MigrationConfig => ({
  ...defaultConfig(MIGRATION),
  epoch,
  phase: 'dual-write',
  write,
  read: { kind: 'fixed', variant: read },
  ...more,
})

/** Moves the fence past all epochs below this one. */
export const raise = (pool: pg.Pool, epoch: number): Promise<unknown> =>
  pool.query(`select switchback."raise:${MIGRATION}"($1)`, [epoch])

export const repairs = async (pool: pg.Pool): Promise<readonly unknown[]> =>
  (
    await pool.query(
      'select migration, key, path, epoch::int, reason from switchback.repairs order by key, path',
    )
  ).rows

/** Both paths as they are, in one snapshot. */
export async function tables(pool: pg.Pool): Promise<{ readonly old: unknown; readonly new: unknown }> {
  const { rows } = await pool.query(`select
    (select coalesce(json_object_agg(id, bio order by id), '{}') from users) as old,
    (select coalesce(json_object_agg(user_id, bio order by user_id), '{}') from user_profiles) as new`)
  return rows[0] as { old: unknown; new: unknown }
}

type Tx = { readonly query: pg.Pool['query'] }
type Handler = (id: string, tx: Tx, bio: string) => Promise<unknown>

export const saveOld: Handler = (id, tx, bio) =>
  tx.query('insert into users (id, bio) values ($1, $2) on conflict (id) do update set bio = excluded.bio', [
    id,
    bio,
  ])
export const saveNew: Handler = (id, tx, bio) =>
  tx.query(
    'insert into user_profiles (user_id, bio) values ($1, $2) on conflict (user_id) do update set bio = excluded.bio',
    [id, bio],
  )
const bioOf = (rows: readonly { bio: string }[]): string | undefined => rows[0]?.bio
export const readOld = async (id: string, tx: Tx): Promise<string | undefined> =>
  bioOf((await tx.query<{ bio: string }>('select bio from users where id = $1', [id])).rows)
export const readNew = async (id: string, tx: Tx): Promise<string | undefined> =>
  bioOf((await tx.query<{ bio: string }>('select bio from user_profiles where user_id = $1', [id])).rows)

type Options = MigrationOptions<string, Tx, [], string | undefined, [bio: string], unknown, [], unknown>

/** A router over a real target, without a server: the test says what epoch it is. */
export function routed(
  pool: pg.Pool,
  config: MigrationConfig,
  options: Partial<Options> & {
    readonly port?: PgTransactionOptions
    readonly newer?: (runtime: MigrationRuntime) => boolean | Promise<boolean>
    readonly clock?: Clock
  } = {},
) {
  const { port: portOptions, newer, clock, ...overrides } = options
  const port = pgTransaction(pool, portOptions)
  const recorder = createRecorder()
  const failures: SecondaryFailure[] = []
  const env: RouterEnv = {
    instance: 'here',
    clock: clock ?? systemClock,
    random: () => 0,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    recorder,
    lease: undefined,
    newer: async () => (await newer?.(runtime)) ?? false,
  }
  const full: Options = {
    key: (id) => id,
    transaction: port,
    read: { old: readOld, new: readNew },
    write: { old: saveOld, new: saveNew },
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
  const migration = createMigration(env, runtime)
  return { env, port, runtime, migration, recorder, failures }
}
