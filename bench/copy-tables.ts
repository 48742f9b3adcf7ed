import { definitionSchema, type MigrationDefinition } from '@switchback/migrations-registry'
import { createExecution, type ExecutionOptions } from '@switchback/server'
import type pg from 'pg'
import { SILENT } from './support.ts'

const COLUMNS = 'name, email, bio, preferences, created_at'

/** The migration that the suites run: every column of `users` moves to `profiles`. */
export const PROFILES: MigrationDefinition = definitionSchema.parse({
  id: 'bench',
  title: 'Profiles move to their own table',
  copy: {
    from: 'users',
    to: 'profiles',
    key: { user_id: 'id' },
    columns: Object.fromEntries(COLUMNS.split(', ').map((name) => [name, name])),
  },
})

/** What the single statement and the filled tables of the verification are made of. */
export const COPY_ALL = `insert into profiles (user_id, ${COLUMNS}) select id, ${COLUMNS} from users`

/**
 * A new `users` of rows of about 250 bytes, vacuumed as a table that has been in use is, and an empty
 * `profiles`. Ends with a checkpoint, so that whoever comes next pays for its own writes alone.
 */
export async function freshTables(pool: pg.Pool, rows: number): Promise<void> {
  await pool.query('drop table if exists users, profiles')
  await pool.query(`create table users (id bigint primary key, name text not null, email text not null, bio text,
    preferences jsonb not null, created_at timestamptz not null)`)
  await pool.query(
    `insert into users select i, 'user ' || i, 'user' || i || '@example.org', repeat(md5(i::text), 4),
       jsonb_build_object('theme', 'dark', 'n', i), timestamptz '2026-01-01' + i * interval '1 second'
     from generate_series(1, $1::int) i`,
    [rows],
  )
  await pool.query(`create table profiles (user_id bigint primary key, name text not null, email text not null,
    bio text, preferences jsonb not null, created_at timestamptz not null)`)
  await pool.query('vacuum (analyze) users')
  await pool.query('checkpoint')
}

/** Runs `work` on the execution of the server, with as many workers. */
export async function withExecution<Result>(
  url: string,
  workers: number,
  work: (execution: ReturnType<typeof createExecution>) => Promise<Result>,
  signals: ExecutionOptions['signals'] = {},
): Promise<Result> {
  const options: ExecutionOptions = { url, log: SILENT, clock: Date.now, archiveDir: '.', workers, signals }
  const execution = createExecution(options)
  try {
    await execution.prepare(PROFILES.id)
    return await work(execution)
  } finally {
    await execution.end()
  }
}

let epoch = 0

/** An order of the engine; every one is of an epoch of its own, so that nothing is resumed. */
export const nextOrder = (): Parameters<ReturnType<typeof createExecution>['run']>[1] => {
  epoch += 1
  return {
    definition: PROFILES,
    sql: { expand: '' },
    epoch,
    signal: new AbortController().signal,
    report: () => undefined,
    heldBackBy: () => undefined,
    committing: async () => undefined,
  }
}
