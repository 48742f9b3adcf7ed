import { definitionSchema, type Phase } from '@switchback/migrations-registry'
import {
  postgresUrl,
  type TcpProxy,
  type TestDatabase,
  type TestStore,
  tcpProxy,
  testDatabase,
  testStore,
  waitFor,
} from '@switchback/test/support'
import { afterEach, beforeEach } from 'vitest'
import { composeWork } from '../compose/compose-work.ts'
import { createNewId } from '../compose/new-id.ts'
import { createDb, quoteIdent } from '../db/db.ts'
import { STORE_SCHEMA } from '../db/store-schema.ts'
import { createExecution } from '../execution/execution.ts'
import type { Execution } from '../execution/execution-port.ts'
import { createFleet } from '../fleet/fleet.ts'
import { createIncidents } from '../incidents/incidents.ts'
import type { Command, PhaseService } from './phase-service.ts'

/*
 * For tests of stores that are put back: a store, a target behind a wire that can be cut, and servers on copies of
 * the store.
 */

export const ANN = { name: 'ann' }
export const ID = 'profiles'
export const log = { info: () => {}, warn: () => {}, error: () => {} }
export const sql = {
  expand: 'create table profiles (user_id int primary key, bio text)',
  rollback: 'drop table profiles',
}
export const defined = (target: string) =>
  definitionSchema.parse({
    id: ID,
    target,
    title: 'Profiles move',
    copy: { from: 'users', to: 'profiles', key: { user_id: 'id' }, columns: { bio: 'bio' } },
  })
export const definition = defined('main')

export interface Server {
  readonly phases: PhaseService
  readonly db: ReturnType<typeof createDb>
  readonly incidents: ReturnType<typeof createIncidents>
  firstLook(): Promise<void>
  stop(): Promise<void>
}

export interface Stores {
  store: TestStore
  target: TestDatabase
  /** Between servers and the target. */
  proxy: TcpProxy
}

/** Done in reverse order after each test, before the databases are dropped. */
export const cleanup: (() => Promise<unknown>)[] = []
/** Those of the test that runs. */
export const at = {} as Stores
/** The target as servers reach it. */
let way: string

/** To be called once by a test file: new databases before each of its tests. */
export function useStores(): void {
  beforeEach(async () => {
    const target = await testDatabase()
    const url = new URL(target.url)
    const proxy = await tcpProxy(url.hostname, Number(url.port))
    Object.assign(at, { store: await testStore(), target, proxy })
    await target.pool.query(`create table users (id int primary key, bio text);
      insert into users select i, 'bio ' || i from generate_series(1, 20) i`)
    url.port = String(proxy.port)
    way = url.href
  })
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step()
    await at.proxy.stop()
    await at.target.drop()
    await at.store.drop()
  })
}

/** A server without its sockets. */
export function serverOn(storeUrl: string, wrap = (execution: Execution) => execution): Server {
  const db = createDb({ url: storeUrl, name: 'test', schema: STORE_SCHEMA })
  const execution = createExecution({ url: way, log, archiveDir: '/nonexistent', clock: Date.now })
  const wrapped = wrap(execution)
  const fleet = createFleet({ db, clock: Date.now, server: 'test', log })
  const incidents = createIncidents({ db, clock: Date.now, fleet })
  const { phases, engine } = composeWork({
    db,
    clock: Date.now,
    newId: createNewId(Date.now),
    fleet,
    reverts: incidents,
    targets: { executionFor: () => wrapped },
    holds: () => [],
    announce: () => engine.wake(),
    onWorkProgress: () => {},
    log,
  })
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= engine
      .stop()
      .then(() => fleet.stop())
      .then(() => execution.end())
      .then(() => db.end())
    return stopped
  }
  cleanup.push(stop)
  return { phases, db, incidents, stop, firstLook: engine.firstLook }
}

export async function stateOf({ phases }: Pick<Server, 'phases'>, id = ID) {
  const migration = await phases.get(id)
  if (migration === undefined) throw new Error(`${id} is not registered`)
  return { ...migration.state, compared: migration.compared }
}

export async function advanceTo(server: Server, phase: Phase): Promise<void> {
  await waitFor(
    async () => {
      const { phase: stands, work } = await stateOf(server)
      if (stands === phase) return true
      // It may end, and lead to `phase`, before the next command arrives.
      if (work?.status === 'pending' || work?.status === 'running') return false
      await server.phases.command(ID, { type: 'advance' }, ANN)
      return false
    },
    { what: `the way to ${phase}` },
  )
}

/** The epoch that the target has been told of. */
export async function epochSeen(): Promise<number> {
  const { rows } = await at.target.pool.query<{ seen: string }>('select seen from switchback.fences')
  return Number(rows[0]?.seen)
}

/** A copy of the store as it is now, made of its files. Nobody may be connected to it. */
export async function copyOfStore(): Promise<string> {
  const admin = createDb({ url: postgresUrl(), name: 'admin', max: 1 })
  const url = new URL(at.store.url)
  const name = `${url.pathname.slice(1)}_copy`
  await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
    url.pathname.slice(1),
  ])
  await admin.query(`create database ${quoteIdent(name)} template ${quoteIdent(url.pathname.slice(1))}`)
  cleanup.unshift(async () => {
    await admin.query(`drop database ${quoteIdent(name)} with (force)`)
    await admin.end()
  })
  url.pathname = `/${name}`
  return url.href
}

/** A copy of the store at dual-write, and a target that has gone on to shadow. */
export async function outdated(): Promise<{ readonly url: string; readonly seen: number }> {
  let server = serverOn(at.store.url)
  await server.phases.register({ definition, sql, source: '' }, ANN)
  await advanceTo(server, 'dual-write')
  await server.stop()
  const url = await copyOfStore()
  server = serverOn(at.store.url)
  await advanceTo(server, 'shadow')
  const { epoch } = await stateOf(server)
  await waitFor(async () => (await epochSeen()) === epoch, { what: 'the target to be told' })
  await server.stop()
  return { url, seen: epoch }
}

export const refusalOf = async ({ phases }: Server, command: Command): Promise<string> => {
  const result = await phases.command(ID, command, ANN)
  return result.ok ? 'done' : result.refusal.code
}
export const revert: Command = { type: 'revert', cause: { kind: 'manual', reason: 'new is slow' } }
