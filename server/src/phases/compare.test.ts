import { definitionSchema, EPOCH_MARGIN, initialState, type Phase } from '@switchback/migrations-registry'
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
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { composeWork } from '../compose/compose-work.ts'
import { createNewId } from '../compose/new-id.ts'
import { createDb, quoteIdent } from '../db/db.ts'
import { STORE_SCHEMA } from '../db/store-schema.ts'
import { createExecution } from '../execution/execution.ts'
import type { Execution } from '../execution/execution-port.ts'
import { createFleet } from '../fleet/fleet.ts'
import { createIncidents } from '../incidents/incidents.ts'
import { createCompare, type Remembered } from './compare.ts'
import { COMPARED, lifeOfStore, noteCompared } from './comparison-store.ts'
import { createPhaseService } from './create-phase-service.ts'
import { createPhaseStore } from './create-phase-store.ts'
import type { Command, PhaseService, StoredMigration } from './phase-service.ts'

const ANN = { name: 'ann' }
const ID = 'profiles'
const log = { info: () => {}, warn: () => {}, error: () => {} }
const sql = {
  expand: 'create table profiles (user_id int primary key, bio text)',
  rollback: 'drop table profiles',
}
const defined = (target: string) =>
  definitionSchema.parse({
    id: ID,
    target,
    title: 'Profiles move',
    copy: { from: 'users', to: 'profiles', key: { user_id: 'id' }, columns: { bio: 'bio' } },
  })
const definition = defined('main')

interface Server {
  readonly phases: PhaseService
  readonly db: ReturnType<typeof createDb>
  readonly incidents: ReturnType<typeof createIncidents>
  firstLook(): Promise<void>
  stop(): Promise<void>
}

const cleanup: (() => Promise<unknown>)[] = []
let store: TestStore
let target: TestDatabase
let proxy: TcpProxy
/** The target as servers reach it. */
let way: string

beforeEach(async () => {
  store = await testStore()
  target = await testDatabase()
  await target.pool.query(`create table users (id int primary key, bio text);
    insert into users select i, 'bio ' || i from generate_series(1, 20) i`)
  const url = new URL(target.url)
  proxy = await tcpProxy(url.hostname, Number(url.port))
  url.port = String(proxy.port)
  way = url.href
})
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
  await proxy.stop()
  await target.drop()
  await store.drop()
})

/** A server without its sockets. */
function serverOn(storeUrl: string, wrap = (execution: Execution) => execution): Server {
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

async function stateOf({ phases }: Pick<Server, 'phases'>, id = ID) {
  const migration = await phases.get(id)
  if (migration === undefined) throw new Error(`${id} is not registered`)
  return { ...migration.state, compared: migration.compared }
}

async function advanceTo(server: Server, phase: Phase): Promise<void> {
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
async function epochSeen(): Promise<number> {
  const { rows } = await target.pool.query<{ seen: string }>('select seen from switchback.fences')
  return Number(rows[0]?.seen)
}

/** A copy of the store as it is now, made of its files. Nobody may be connected to it. */
async function copyOfStore(): Promise<string> {
  const admin = createDb({ url: postgresUrl(), name: 'admin', max: 1 })
  const url = new URL(store.url)
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
async function outdated(): Promise<{ readonly url: string; readonly seen: number }> {
  let server = serverOn(store.url)
  await server.phases.register({ definition, sql, source: '' }, ANN)
  await advanceTo(server, 'dual-write')
  await server.stop()
  const url = await copyOfStore()
  server = serverOn(store.url)
  await advanceTo(server, 'shadow')
  const { epoch } = await stateOf(server)
  await waitFor(async () => (await epochSeen()) === epoch, { what: 'the target to be told' })
  await server.stop()
  return { url, seen: epoch }
}

const refusalOf = async ({ phases }: Server, command: Command): Promise<string> => {
  const result = await phases.command(ID, command, ANN)
  return result.ok ? 'done' : result.refusal.code
}
const revert: Command = { type: 'revert', cause: { kind: 'manual', reason: 'new is slow' } }

describe('a restored store whose target does not answer', () => {
  it('refuses whatever could lead to an epoch or to work', async () => {
    const before = serverOn(store.url)
    await before.phases.register({ definition, sql, source: '' }, ANN)
    await before.stop()
    proxy.cut()
    const server = serverOn(await copyOfStore())
    const commands: readonly Command[] = [
      { type: 'advance' },
      { type: 'set-rollout', share: 0.5 },
      { type: 'set-flags', read: 'old' },
      { type: 'resume' },
      { type: 'approve' },
      revert,
      { type: 'continue-revert' },
      { type: 'restore' },
      { type: 'verify' },
      { type: 'rearm', reason: 'mended' },
      { type: 'retry-work' },
      { type: 'fence-passed', epoch: 3 },
      { type: 'work-started', kind: 'backfill', epoch: 3 },
      { type: 'work-committing', kind: 'contract', epoch: 3 },
      { type: 'work-done', kind: 'expand', epoch: 1 },
      { type: 'work-failed', kind: 'expand', epoch: 1, error: 'x' },
    ]
    for (const command of commands) {
      expect([command.type, await refusalOf(server, command)]).toEqual([command.type, 'target-not-compared'])
    }
  })

  it('takes no epoch for anybody, holds work back when asked to, and goes on once the target answers', async () => {
    const { url, seen } = await outdated()
    proxy.cut()
    const server = serverOn(url)
    await server.firstLook()
    const before = await stateOf(server)
    expect(before).toMatchObject({ phase: 'dual-write', compared: false })
    expect(before.epoch).toBeLessThan(seen)
    expect(await refusalOf(server, { type: 'advance' })).toBe('target-not-compared')
    expect(await refusalOf(server, revert)).toBe('target-not-compared')
    expect(await server.incidents.list({ limit: 10 })).toEqual([])
    const gate = await server.phases.gate(ID)
    expect(gate?.blockers.map(({ code }) => code)).toContain('target-not-compared')
    for (const held of [
      { type: 'pause' },
      { type: 'set-backfill', on: false },
      { type: 'set-throttle', change: { rowsPerSecond: 100 } },
    ] as const) {
      expect([held.type, await refusalOf(server, held)]).toEqual([held.type, 'done'])
    }
    expect((await stateOf(server)).epoch).toBe(before.epoch)
    proxy.heal()
    // Whoever asked saw a state that is not so; nothing is done for him before he has looked.
    await waitFor(async () => (await refusalOf(server, revert)) === 'store-was-behind', {
      what: 'the target to be asked again',
    })
    const taken = await stateOf(server)
    expect(taken).toMatchObject({ phase: 'shadow', epoch: seen + EPOCH_MARGIN })
    expect(await refusalOf(server, revert)).toBe('done')
    expect(await stateOf(server)).toMatchObject({ phase: 'dual-write', epoch: seen + EPOCH_MARGIN + 1 })
  })

  it('has a person told of an automatic revert that it refuses, once', async () => {
    const { url } = await outdated()
    proxy.cut()
    const server = serverOn(url)
    const alert = { type: 'revert', cause: { kind: 'alert', reason: 'errors', incident: 'inc_a' } } as const
    const first = await server.phases.command(ID, alert, { name: 'alert' })
    expect(first).toMatchObject({ ok: false, refusal: { code: 'target-not-compared' } })
    await server.phases.command(ID, alert, { name: 'alert' })
    const incidents = await server.incidents.list({ limit: 10 })
    expect(incidents).toMatchObject([{ kind: 'refused', status: 'open' }])
    // The id of the alert's own is left for the revert that it may still make.
    expect(incidents[0]?.id).not.toBe('inc_a')
  })

  it('begins no work, and copies and carries nothing, in a target that answers all but this question', async () => {
    const before = serverOn(store.url)
    await before.phases.register({ definition, sql, source: '' }, ANN)
    await advanceTo(before, 'dual-write')
    await before.stop()
    // Asked for in the backup, called off since.
    await store.db.query(`update migrations set definition = definition || '{"writes": "trigger"}', state = state ||
      '{"work": {"kind": "backfill", "epoch": 3, "status": "pending"}}'`)
    const asked: string[] = []
    const recording = (execution: Execution) =>
      new Proxy(execution, {
        get: (on, name: keyof Execution) => {
          if (name === 'end') return on.end
          asked.push(name)
          return name === 'remember' ? () => Promise.reject(new Error('no answer')) : on[name]
        },
      })
    const server = serverOn(await copyOfStore(), recording)
    await server.firstLook()
    expect(await refusalOf(server, { type: 'pause' })).toBe('done')
    // Asked in a later look of the engine, which has then been through the ones before.
    await waitFor(() => asked.filter((name) => name === 'remember').length >= 3, { what: 'two more looks' })
    expect([...new Set(asked)]).toEqual(['remember'])
  })

  it('is asked nothing more and told nothing where the note is gone when the change is about to be made', async () => {
    await comparedOnce()
    const { db } = store
    const fleet = createFleet({ db, clock: Date.now, server: 'test', log })
    cleanup.push(() => fleet.stop())
    const real = createPhaseStore(db, fleet, createIncidents({ db, clock: Date.now, fleet }))
    let goesBack = true
    const asked: string[] = []
    const tell = <Answer>(name: string, answer: Answer) => {
      asked.push(name)
      return Promise.resolve(answer)
    }
    const phases = createPhaseService({
      store: {
        ...real,
        tx: async (work) => {
          if (goesBack) await db.query('truncate comparisons')
          return real.tx(work)
        },
      },
      clock: Date.now,
      newId: (prefix) => prefix,
      target: {
        remember: () => tell<Remembered>('remember', { answered: false }),
        repairs: () => tell('repairs', { old: 0, new: 0 }),
        failedRows: () => tell('failedRows', 0),
        passFence: () => tell('passFence', []),
      },
      announce: () => {},
    })
    const rearm: Command = { type: 'rearm', reason: 'mended' }
    expect(await phases.command(ID, rearm, ANN)).toMatchObject({ refusal: { code: 'target-not-compared' } })
    expect(asked).toEqual(['remember'])
    goesBack = false
    expect(await phases.command(ID, { type: 'advance' }, ANN)).toMatchObject({
      refusal: { code: 'target-not-compared' },
    })
    // Neither for repairs nor for its fence.
    expect(asked).toEqual(['remember'])
  })
})

describe('what was noted of a comparison is void', () => {
  const goings: readonly [string, (on: TestStore['db']) => Promise<unknown>][] = [
    [
      'after a dump has been read back into the same database',
      (on) =>
        on.query(`create temporary table kept as select * from comparisons;
          delete from comparisons; insert into comparisons select * from kept`),
    ],
    [
      'after the table of migrations alone has been put back',
      (on) => on.query('update migrations set revision = revision - 1'),
    ],
    ['after a crash or a failover, which leave nothing of it', (on) => on.query('truncate comparisons')],
    [
      'in another life of the store',
      (on) => on.query(`update comparisons set life = 'another', written = pg_current_xact_id()`),
    ],
  ]
  /** A server on a store that has gone back, whose target does not answer. */
  async function goneBack(goBack: (on: TestStore['db']) => Promise<unknown>): Promise<Server> {
    await comparedOnce()
    proxy.cut()
    expect((await rowOf()).compared).toBe(true)
    const one = createDb({ url: store.url, name: 'test', schema: STORE_SCHEMA, max: 1 })
    await goBack(one)
    await one.end()
    return serverOn(store.url)
  }

  it.each(goings)('%s', async (_, goBack) => {
    const server = await goneBack(goBack)
    expect(await stateOf(server)).toMatchObject({ compared: false })
    expect(await refusalOf(server, { type: 'advance' })).toBe('target-not-compared')
    // What is taken all the same gives the migration another revision, and proves nothing.
    expect(await refusalOf(server, { type: 'pause' })).toBe('done')
    expect(await stateOf(server)).toMatchObject({ compared: false })
  })

  it.each(goings)('%s, and noted anew as soon as the target has answered', async (_, goBack) => {
    const server = await goneBack(goBack)
    proxy.heal()
    expect(await refusalOf(server, { type: 'advance' })).toBe('done')
    expect(await stateOf(server)).toMatchObject({ compared: true })
  })

  it('and a server that runs on compares anew by itself', async () => {
    await comparedOnce()
    const server = serverOn(store.url)
    await server.firstLook()
    await store.db.query('truncate comparisons')
    await waitFor(async () => (await stateOf(server)).compared, { what: 'the next look of the engine' })
  })

  it('in a copy of the files, also where its server was never stopped', async () => {
    await comparedOnce()
    const url = await copyOfStore()
    proxy.cut()
    expect(await stateOf(serverOn(url))).toMatchObject({ compared: false })
  })

  it('where store or migration were another while the target was being asked', async () => {
    await comparedOnce()
    await store.db.query('truncate comparisons')
    const { revision } = await rowOf()
    const life = await lifeOfStore(store.db)
    for (const [lived, noted, compared] of [
      ['a life that has ended', revision, false],
      [life, revision - 1, false],
      [life, revision + 1, false],
      [life, revision, true],
    ] as const) {
      await noteCompared(store.db, lived, ID, noted)
      expect([noted, (await rowOf()).compared]).toEqual([noted, compared])
    }
  })

  it('and what is noted is of the revision that the migration has until the note is there', async () => {
    await comparedOnce()
    const { revision } = await rowOf()
    const life = await lifeOfStore(store.db)
    const noting = await store.db.tx(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>(
        'select pg_backend_pid() as pid from comparisons for update',
      )
      const noted = noteCompared(store.db, life, ID, revision)
      // Asked outside of the transaction, in which the answer would never change.
      await waitFor(
        async () => {
          const waiting = await store.db.query(
            'select from pg_stat_activity where $1 = any(pg_blocking_pids(pid))',
            [rows[0]?.pid],
          )
          return waiting.rows.length > 0
        },
        { what: 'a note that waits for another one' },
      )
      const change = await store.db.query('select from migrations for no key update nowait').then(
        () => 'could be made',
        ({ code }: { code: string }) => code,
      )
      return { noted, change }
    })
    await noting.noted
    expect(noting.change).toBe('55P03')
  })
})

/** A migration that a server has compared, which is gone by now. */
async function comparedOnce(): Promise<void> {
  const server = serverOn(store.url)
  await server.phases.register({ definition, sql, source: '' }, ANN)
  await server.firstLook()
  await server.stop()
}

async function rowOf(): Promise<{ readonly revision: number; readonly compared: boolean }> {
  const { rows } = await store.db.query<{ revision: number; compared: boolean }>(
    `select revision, ${COMPARED} as compared from migrations`,
  )
  const row = rows[0]
  if (row === undefined) throw new Error('nothing is registered')
  return row
}

describe('several servers on one store', () => {
  it('act on the comparison of one of them, while the store lives on', async () => {
    const first = serverOn(store.url)
    await first.phases.register({ definition, sql, source: '' }, ANN)
    await advanceTo(first, 'dual-write')
    await first.stop()
    // It was started while the target was away, and needs no answer to take reads off a path.
    proxy.cut()
    const second = serverOn(store.url)
    await second.firstLook()
    const result = await second.phases.command(ID, { ...revert, to: 'expanded' } as Command, ANN)
    expect(result).toMatchObject({ ok: true, migration: { state: { phase: 'expanded' } } })
  })

  it('are not told that the store was behind when one of them was merely quicker', async () => {
    const { url, seen } = await outdated()
    const [first, second] = [serverOn(url), serverOn(url)]
    await Promise.all([first.firstLook(), second.firstLook(), first.firstLook()])
    expect((await stateOf(first)).epoch).toBe(seen + EPOCH_MARGIN)
    expect((await stateOf(second)).latch).toEqual((await stateOf(first)).latch)
  })
})

describe('a migration that is registered while its target is away', () => {
  it('waits for the target, and begins with its first epoch where the target does not know it', async () => {
    proxy.cut()
    const server = serverOn(store.url)
    expect((await server.phases.register({ definition, sql, source: '' }, ANN)).ok).toBe(true)
    expect(await refusalOf(server, { type: 'advance' })).toBe('target-not-compared')
    proxy.heal()
    await advanceTo(server, 'expanded')
    expect(await stateOf(server)).toMatchObject({ epoch: 2, compared: true })
  })

  it('is what the target remembers, where the store has forgotten that it was registered before', async () => {
    const { seen } = await outdated()
    const fresh = await testStore()
    cleanup.unshift(() => fresh.drop())
    const server = serverOn(fresh.url)
    await server.phases.register({ definition, sql, source: '' }, ANN)
    await waitFor(async () => (await stateOf(server)).epoch === seen + EPOCH_MARGIN, {
      what: 'the state of the target to be taken up',
    })
    expect(await stateOf(server)).toMatchObject({ phase: 'shadow' })
  })

  it('is compared anew when a definition for another target takes its place', async () => {
    const server = serverOn(store.url)
    await server.phases.register({ definition, sql, source: '' }, ANN)
    await server.firstLook()
    proxy.cut()
    await server.phases.register({ definition: defined('other'), sql, source: 'other' }, ANN)
    expect(await stateOf(server)).toMatchObject({ compared: false })
  })
})

describe('comparing', () => {
  const migration: StoredMigration = {
    definition,
    sql,
    source: '',
    checksum: '',
    state: initialState(ID, 0),
    revision: 1,
    compared: false,
  }
  const comparing = (answer: () => Remembered, clock = () => 0, isTaken = true) => {
    const refusal = { code: 'epoch-known', message: '', action: '' } as const
    return createCompare({
      store: { life: async () => 'this one', noteCompared: async () => {} },
      clock,
      remember: async () => answer(),
      takeUp: async () => (isTaken ? { ok: true, migration } : { ok: false, refusal }),
    })
  }

  it.each([
    ['taken-up', true],
    ['moved', false],
  ] as const)('says %s of a newer state that the store has not, or has by now', async (what, isTaken) => {
    const newer = { ...migration.state, epoch: 2 }
    expect(await comparing(() => ({ answered: true, newer }), undefined, isTaken)(migration)).toBe(what)
  })

  it('does not ask a target again that has just not answered, for whichever migration, nor after long', async () => {
    let now = 10_000
    let asked = 0
    const compare = comparing(
      () => {
        asked++
        return { answered: false }
      },
      () => now,
    )
    const other = { ...migration, definition: { ...definition, id: 'other' } }
    const elsewhere = { ...migration, definition: defined('elsewhere') }
    for (const [each, at, times] of [
      [migration, 10_000, 1],
      [other, 10_500, 1],
      [elsewhere, 10_500, 2],
      [migration, 11_000, 3],
      [migration, 9_000, 4],
    ] as const) {
      now = at
      expect(await compare(each)).toBe('unknown')
      expect([at, asked]).toEqual([at, times])
    }
  })
})
