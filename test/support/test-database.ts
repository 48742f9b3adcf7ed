import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'

export interface TestDatabase {
  readonly url: string
  readonly pool: pg.Pool
  /** Ends the pool and removes the database; other connections to it are cut. */
  drop(): Promise<void>
}

/** What databases are cloned from: made once per test run, by whichever test file is first. */
export interface DatabaseTemplate {
  /** Stands for the content: another content needs another name. */
  readonly name: string
  fill(pool: pg.Pool): Promise<void>
}

/** Another server than that of the test run; another encoding than UTF8, for an empty database. */
export interface DatabasePlace {
  readonly server?: string | undefined
  readonly encoding?: string | undefined
}

/**
 * A database of one's own on the PostgreSQL of this test run, empty or cloned from a template.
 *
 * @example
 * const database = await testDatabase({ name: 'store', fill: (pool) => applyMigrations(pool) })
 * afterAll(() => database.drop())
 */
export async function testDatabase(
  template?: DatabaseTemplate,
  { server = postgresUrl(), encoding }: DatabasePlace = {},
): Promise<TestDatabase> {
  const name = `t_${randomBytes(6).toString('hex')}`
  const source = template ? await ensureTemplate(server, template) : encoding ? 'template0' : 'template1'
  const written = encoding === undefined ? '' : ` encoding '${encoding}' locale 'C'`
  await asAdmin(server, (admin) =>
    admin.query(`create database ${quoted(name)} template ${quoted(source)}${written}`),
  )
  const url = withDatabase(server, name)
  const pool = openPool(url)
  let dropped: Promise<void> | undefined
  return {
    url,
    pool,
    drop() {
      dropped ??= pool
        .end()
        .then(() =>
          asAdmin(
            server,
            async (admin) => void (await admin.query(`drop database if exists ${quoted(name)} with (force)`)),
          ),
        )
      return dropped
    },
  }
}

let chosen: string | undefined

/** Has the databases that this test file asks for from now on be on another server than that of the test run. */
export function testOn(server: string): void {
  chosen = server
}

/** The PostgreSQL of this test run, as superuser. */
export function postgresUrl(): string {
  return chosen ?? inject('postgresUrl')
}

async function ensureTemplate(server: string, template: DatabaseTemplate): Promise<string> {
  const name = `template_${template.name}`
  await asAdmin(server, async (admin) => {
    // Test files run in processes of their own; one makes the template, the others wait here.
    await admin.query('select pg_advisory_lock(hashtextextended($1, 0))', [name])
    const { rows } = await admin.query<{ complete: boolean }>(
      'select datistemplate as complete from pg_database where datname = $1',
      [name],
    )
    if (rows[0]?.complete) return
    await admin.query(`drop database if exists ${quoted(name)} with (force)`)
    await admin.query(`create database ${quoted(name)}`)
    const pool = openPool(withDatabase(server, name))
    try {
      await template.fill(pool)
    } finally {
      await pool.end()
    }
    await admin.query(`alter database ${quoted(name)} is_template true allow_connections false`)
  })
  return name
}

async function asAdmin<T>(server: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: server })
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}

function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 10 })
  // An idle connection that a test cuts on purpose must not end the process.
  pool.on('error', () => undefined)
  return pool
}

function withDatabase(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
