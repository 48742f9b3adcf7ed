import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WorkKind } from '@switchback/migrations-registry'
import { createExecution, lintMigration, loadMigrationFolder, type WorkOrder } from '@switchback/server'
import { debianPostgres, postgresUrl } from '@switchback/test/support'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const EXAMPLES = here('../../docs/examples')
const names = readdirSync(EXAMPLES, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
)

const anOrder: Omit<WorkOrder, 'definition' | 'sql' | 'epoch'> = {
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
}

/** What is not as before after rollback.sql. */
const STAYS: Readonly<Record<string, readonly string[]>> = {
  'enum-value': [expect.stringContaining("'disputed'")],
}

const debian = await debianPostgres()
afterAll(() => debian?.stop())
const servers: readonly (readonly [string, string | undefined])[] = [
  ['the bundled PostgreSQL', postgresUrl()],
  ["Debian's PostgreSQL 15", debian?.url],
]

async function load(name: string) {
  const loaded = await loadMigrationFolder(join(EXAMPLES, name))
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.migration
}

test.each(names)('%s lints clean', async (name) => {
  const result = await lintMigration(await load(name), (file) => file, 15)
  expect(result.unreadable).toEqual([])
  expect(result.findings.filter(({ severity }) => severity === 'error')).toEqual([])
})

describe.each(servers)('on %s', (_, server) => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchback-examples-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test.skipIf(server === undefined).each(names)(
    '%s goes there and back, and keeps every row',
    async (name) => {
      const { definition, sql } = await load(name)
      const { pool, url, drop } = await freshDatabase(server ?? '')
      const execution = createExecution({
        url,
        log: { warn: () => undefined },
        archiveDir: folder,
        clock: Date.now,
      })
      let epoch = 1
      const run = (kind: WorkKind) => {
        epoch += 1
        const order: WorkOrder = {
          definition: {
            ...definition,
            id: `${definition.id}-${randomBytes(3).toString('hex')}`.slice(0, 48),
          },
          sql,
          epoch,
          signal: new AbortController().signal,
          report: () => undefined,
          heldBackBy: () => undefined,
          committing: async () => undefined,
        }
        return execution.run(kind, { ...order, definition })
      }
      try {
        await pool.query(await readFile(here('schema.sql'), 'utf8'))
        const before = await rowsOf(pool)
        await run('expand')
        const { detail } = await run('rollback')
        expect(detail.left).toEqual(STAYS[name] ?? [])
        expect(await rowsOf(pool)).toEqual(before)

        await run('expand')
        // What a step writes is in its own test.
        if (definition.copy === undefined || definition.copy.step !== undefined) return
        await run('backfill')
        expect((await run('verify')).divergences).toBe(0)
        const { from, to } = definition.copy
        const count = async (table: string) =>
          (await pool.query(`select count(*)::int as n from ${table}`)).rows
        expect(await count(to)).toEqual(await count(from))
        const expanded = await rowsOf(pool)
        await run('contract')
        await run('restore')
        expect(await rowsOf(pool)).toEqual(expanded)
      } finally {
        await execution.end()
        await drop()
      }
    },
  )

  test.skipIf(server === undefined)(
    'the profiles of BimRide: archive, contract, restore, every row equal',
    async () => {
      const loaded = await loadMigrationFolder(
        here('../../migrations-registry/migrations/2026-11-user-profiles'),
      )
      if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
      const { definition, sql } = loaded.migration
      const { pool, url, drop } = await freshDatabase(server ?? '')
      const archiveDir = await mkdtemp(join(folder, 'bimride-'))
      const execution = createExecution({ url, log: { warn: () => undefined }, archiveDir, clock: Date.now })
      let epoch = 1
      const run = (kind: WorkKind) => {
        epoch += 1
        return execution.run(kind, { ...anOrder, definition, sql, epoch })
      }
      try {
        await pool.query(`
        create table users (id uuid primary key, name text not null, bio text, preferences jsonb not null default '{}',
                            created_at timestamptz not null default now());
        insert into users select md5(i::text)::uuid, 'user ' || i,
          case i % 4 when 0 then null when 1 then '' else E'line\\n"' || i || '", é\\t' end,
          jsonb_build_object('n', i, 'deep', jsonb_build_array(null, 'a"b')), timestamptz '2026-01-01' + i * interval '1.234567 s'
        from generate_series(1, 5000) i`)
        await run('expand')
        await run('backfill')
        expect((await run('verify')).divergences).toBe(0)
        const before = await rowsOf(pool)
        const contracted = await run('contract')
        expect(contracted.detail).toMatchObject({ tables: [{ name: 'users', rows: 5000 }] })
        const gone = await pool.query('select * from users limit 1')
        expect(gone.fields.map(({ name }) => name)).toEqual(['id', 'name'])
        await run('restore')
        expect(await rowsOf(pool)).toEqual(before)
      } finally {
        await execution.end()
        await drop()
      }
    },
  )
})

async function freshDatabase(server: string) {
  const name = `e_${randomBytes(6).toString('hex')}`
  const admin = new pg.Client({ connectionString: server })
  await admin.connect()
  await admin.query(`create database ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  const pool = new pg.Pool({ connectionString: url.href, max: 2 })
  pool.on('error', () => undefined)
  return {
    pool,
    url: url.href,
    drop: async () => {
      await pool.end()
      await admin.query(`drop database ${name} with (force)`)
      await admin.end()
    },
  }
}

/** Every row of every table, each by the names of its columns: their order may change on the way back. */
async function rowsOf(pool: pg.Pool): Promise<Readonly<Record<string, readonly string[]>>> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select relname as name from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace order by 1`,
  )
  const all: Record<string, readonly string[]> = {}
  for (const { name } of tables) {
    const { rows } = await pool.query<{ row: string }>(
      `select to_jsonb(t)::text as row from ${name} t order by 1`,
    )
    all[name] = rows.map(({ row }) => row)
  }
  return all
}
