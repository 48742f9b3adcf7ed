import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { createServerProcess, type ServerProcess } from './server-process.ts'

export interface Service {
  readonly server: ServerProcess
  /** On the PostgreSQL that holds the store and the target. */
  readonly admin: pg.Client
  /** For instances. */
  readonly token: string
}

const SQL = {
  expand: 'create table items_new (id int primary key, x int);',
  rollback: 'drop table items_new;',
  contract: 'drop table items;',
}

function databaseOf(url: string, name: string): string {
  const database = new URL(url)
  database.pathname = `/${name}`
  return database.href
}

const definitionOf = (migration: string): string => `id: ${migration}
title: What the measured fleet is about
apps: [bench]
copy:
  from: items
  to: items_new
  key: { id: id }
  columns: { x: x }
`

/** Runs `work` with a server on new databases of this PostgreSQL, at which one migration of `items` is registered. */
export async function withService<T>(
  url: string,
  migration: string,
  work: (service: Service) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), `switchback-${migration}-`))
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  let server: ServerProcess | undefined
  try {
    await admin.query('create database store')
    await admin.query('create database target')
    const target = databaseOf(url, 'target')
    server = await createServerProcess({
      DATABASE_URL: databaseOf(url, 'store'),
      TARGET_MAIN_URL: target,
      SWITCHBACK_DATA: folder,
      SWITCHBACK_ADMIN_TOKEN: randomBytes(24).toString('hex'),
      LOG_LEVEL: 'warn',
    })
    await server.start()
    const tables = new pg.Client({ connectionString: target })
    await tables.connect()
    await tables.query('create table items (id int primary key, x int)')
    await tables.end()
    await server.call('POST', '/v1/migrations', { yaml: definitionOf(migration), sql: SQL })
    const { token } = await server.call<{ token: string }>('POST', '/v1/tokens', {
      name: 'instances',
      role: 'sdk',
    })
    return await work({ server, admin, token })
  } finally {
    await server?.stop()
    await admin.end()
    await rm(folder, { recursive: true, force: true })
  }
}
