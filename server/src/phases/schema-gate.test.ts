import { definitionSchema, type MigrationSql, type Timing } from '@switchback/migrations-registry'
import { type TestDatabase, type TestStore, testDatabase, testStore, waitFor } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { composeWork } from '../compose/compose-work.ts'
import { createNewId } from '../compose/new-id.ts'
import type { Engine } from '../engine/engine.ts'
import { worksOf } from '../engine/works-store.ts'
import { createExecution } from '../execution/execution.ts'
import type { Execution } from '../execution/execution-port.ts'
import { createFleet } from '../fleet/fleet.ts'
import type { Fleet } from '../fleet/fleet-port.ts'
import { createIncidents } from '../incidents/incidents.ts'
import { othersThan } from './migration-store.ts'
import type { PhaseService } from './phase-service.ts'

const ANN = { name: 'ann' }
const log = { info: () => {}, warn: () => {}, error: () => {} }
const SUNDAY = Date.parse('2026-11-22T02:30Z')

let store: TestStore
let target: TestDatabase
let execution: Execution
let fleet: Fleet
let phases: PhaseService
let engine: Engine
let now: number
let timing: Timing

beforeEach(async () => {
  store = await testStore()
  target = await testDatabase()
  await target.pool.query('create table users (id int primary key, bio text); create table orders (id int)')
  now = SUNDAY
  timing = { windows: [], freezes: [], load: {} }
  execution = createExecution({ url: target.url, log, archiveDir: '/nonexistent', clock: Date.now })
  fleet = createFleet({ db: store.db, clock: () => now, server: 'test', log })
  const composed = composeWork({
    db: store.db,
    clock: () => now,
    newId: createNewId(Date.now),
    fleet,
    reverts: createIncidents({ db: store.db, clock: () => now, fleet }),
    targets: { executionFor: () => execution },
    timing: {
      get main() {
        return timing
      },
    },
    holds: () => [],
    announce: () => engine.wake(),
    onWorkProgress: () => {},
    log,
  })
  phases = composed.phases
  engine = composed.engine
})
afterEach(async () => {
  await engine.stop()
  await fleet.stop()
  await execution.end()
  await target.drop()
  await store.drop()
})

async function register(id: string, expand: string, more: object = {}, sql: Partial<MigrationSql> = {}) {
  const definition = definitionSchema.parse({ id, title: 'x', ...more })
  const all = { expand, rollback: 'select 1', ...sql }
  const result = await phases.register({ definition, sql: all, source: id }, ANN)
  if (!result.ok) throw new Error(result.refusal.message)
}
const blockers = async (id: string) => (await phases.gate(id))?.blockers ?? []
const advance = (id: string, ...force: string[]) =>
  phases.command(
    id,
    { type: 'advance', ...(force.length === 0 ? {} : { force, reason: 'a person says so' }) },
    ANN,
  )
const expanded = (id: string) =>
  waitFor(async () => (await phases.get(id))?.state.phase === 'expanded', { what: `${id} to be expanded` })

test('blocking work waits for its window, and says when that opens; a person may pass over it', async () => {
  timing = { ...timing, windows: ['Sun 02:00-05:00 Asia/Dhaka'] }
  await register('blocking', 'alter table users add a int')
  await register('harmless', 'create table more ()')
  expect(await blockers('blocking')).toMatchObject([
    { code: 'window', until: Date.parse('2026-11-28T20:00Z'), forceable: true },
  ])
  expect(await blockers('harmless')).toEqual([])
  expect(await advance('blocking')).toMatchObject({ ok: false, refusal: { code: 'gate-closed' } })
  expect(await advance('blocking', 'window')).toMatchObject({ ok: true })
  // The work does not wait for it either.
  await expanded('blocking')
  await register('later', 'alter table users add b int')
  now = Date.parse('2026-11-28T20:30Z')
  expect(await blockers('later')).toEqual([])
  await register('own', 'create table still_more ()', { expand: { window: 'Mon 01:00-02:00 UTC' } })
  expect(await blockers('own')).toMatchObject([{ code: 'window', until: Date.parse('2026-11-30T01:00Z') }])
})

test('a freeze and a busy target hold back too', async () => {
  const holder = await target.pool.connect()
  try {
    await holder.query('begin; select 1')
    timing = {
      windows: [],
      freezes: ['2026-11-20..2026-11-23 UTC'],
      load: { transactionAge: 0, connections: 50 },
    }
    await register('blocking', 'alter table users add a int')
    expect(await blockers('blocking')).toMatchObject([
      { code: 'freeze', until: Date.parse('2026-11-24T00:00Z') },
      { code: 'load', message: expect.stringContaining('a transaction is') },
    ])
  } finally {
    await holder.query('commit')
    holder.release()
  }
})

test('a statement that holds up traffic waits where the window closes before its turn', async () => {
  timing = { ...timing, windows: ['Sun 02:00-05:00 UTC'] }
  const holder = await target.pool.connect()
  try {
    await holder.query('begin; insert into users values (1)')
    await register('long', 'create index concurrently i on users (bio); alter table users add a int')
    expect(await advance('long')).toMatchObject({ ok: true })
    await waitFor(async () => (await worksOf(store.db, 'long'))[0]?.progress.throttledBy !== undefined)
    now = Date.parse('2026-11-22T05:30Z')
    await holder.query('commit')
  } finally {
    holder.release()
  }
  await waitFor(async () =>
    (await worksOf(store.db, 'long'))[0]?.progress.throttledBy?.includes('maintenance window'),
  )
  await expect(target.pool.query('select a from users')).rejects.toThrow('does not exist')
  now = Date.parse('2026-11-29T02:00Z')
  await expanded('long')
})

test('what was changed by hand blocks those whom it concerns, until it is put back or accepted', async () => {
  await register('first', 'alter table users add a int')
  await advance('first')
  await expanded('first')
  await target.pool.query('alter table users drop column a; alter table users add by_hand int')
  await register('same', 'alter table users add b int')
  await register('other', 'alter table orders add b int')
  expect(await advance('same')).toMatchObject({
    ok: false,
    blockers: [{ code: 'drift', message: expect.stringMatching(/users\.a is missing.*users\.by_hand/) }],
  })
  expect(await advance('other')).toMatchObject({ ok: true })
  await expanded('other')
  await execution.acceptSchema()
  expect(await advance('same')).toMatchObject({ ok: true })
  await expanded('same')
})

test('two that are at odds are refused, with the reason; others run side by side, and dependsOn orders', async () => {
  const copy = (to: string) => ({
    copy: { from: 'users', to, key: { id: 'id' }, columns: { bio: 'bio' } },
  })
  await register('bios', 'create table bios (id int primary key, bio text)', copy('bios'), {
    contract: 'alter table users drop column bio',
  })
  await register('notes', 'create table notes (id int primary key, bio text)', copy('notes'))
  await register('extra', 'alter table users add extra int')
  await register('after', 'alter table bios add more int', { dependsOn: ['bios'] })
  expect(await advance('bios')).toMatchObject({ ok: true })
  await expanded('bios')
  expect(await blockers('notes')).toMatchObject([
    {
      code: 'conflict',
      subject: 'bios',
      message: expect.stringContaining('notes copies from column users.bio, which bios drops'),
      forceable: false,
    },
  ])
  expect(await advance('notes', 'conflict')).toMatchObject({ ok: false })
  expect(await advance('extra')).toMatchObject({ ok: true })
  expect(await blockers('after')).toMatchObject([{ code: 'dependency', subject: 'bios' }])
  await expanded('extra')
  // What has no paths is done once its schema is there.
  await register('next', 'alter table users add next int', { dependsOn: ['extra', 'alone'] })
  await register('alone', 'create table alone ()')
  expect(await blockers('next')).toMatchObject([{ code: 'dependency', subject: 'alone' }])
  await advance('alone')
  await expanded('alone')
  expect(await blockers('next')).toEqual([])
})

test('of two that begin at the same moment one is refused', async () => {
  await register('one', 'alter table users add same int')
  await register('two', 'alter table users add same text')
  const waiting = async (): Promise<number> =>
    (
      await store.db.query(
        `select from pg_locks where locktype = 'advisory' and not granted
         and database = (select oid from pg_database where datname = current_database())`,
      )
    ).rows.length
  // Whoever looks at the others first is through before the next one looks.
  let results: Promise<readonly { readonly ok: boolean }[]> | undefined
  await store.db.tx(async (tx) => {
    await othersThan(tx, 'none')
    results = Promise.all([advance('one'), advance('two')])
    await waitFor(async () => (await waiting()) === 2)
  })
  expect((await results)?.map(({ ok }) => ok).sort()).toEqual([false, true])
})
