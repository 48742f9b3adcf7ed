import {
  definitionSchema,
  type MigrationSql,
  type Phase,
  type Registration,
} from '@switchback/migrations-registry'
import { type TestDatabase, type TestStore, testDatabase, testStore, waitFor } from '@switchback/test/support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { composeWork } from '../compose/compose-work.ts'
import { createNewId } from '../compose/new-id.ts'
import { createExecution } from '../execution/execution.ts'
import type { Execution } from '../execution/execution-port.ts'
import { createFleet } from '../fleet/fleet.ts'
import type { Fleet } from '../fleet/fleet-port.ts'
import { createIncidents } from '../incidents/incidents.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import type { Engine } from './engine.ts'
import { worksOf } from './works-store.ts'

const ANN = { name: 'ann' }
const SQL: MigrationSql = {
  expand: 'create table profiles (user_id int primary key, bio text)',
  rollback: 'drop table profiles',
  contract: 'alter table users drop column bio',
}
const log = { info: () => {}, warn: () => {}, error: () => {} }

let store: TestStore
let target: TestDatabase
let execution: Execution
let fleet: Fleet
let phases: PhaseService
let engine: Engine
let holds: readonly string[]
let asked: number

beforeEach(async () => {
  holds = []
  asked = 0
  store = await testStore()
  target = await testDatabase()
  await target.pool.query(`create table users (id int primary key, bio text);
    insert into users select i, 'bio ' || i from generate_series(1, 2000) i`)
  execution = createExecution({ url: target.url, log, archiveDir: '/nonexistent', clock: Date.now })
  fleet = createFleet({ db: store.db, clock: Date.now, server: 'test', log })
  const composed = composeWork({
    db: store.db,
    clock: Date.now,
    newId: createNewId(Date.now),
    fleet,
    reverts: createIncidents({ db: store.db, clock: Date.now, fleet }),
    targets: { executionFor: () => execution },
    holds: () => {
      asked++
      return holds
    },
    announce: () => engine.wake(),
    onWorkProgress: () => {},
    log,
  })
  phases = composed.phases
  engine = composed.engine
  fleet.onProgress(() => engine.wake())
})
afterEach(async () => {
  await engine.stop()
  await fleet.stop()
  await execution.end()
  await target.drop()
  await store.drop()
})

async function register(more: object = {}, sql = SQL): Promise<void> {
  const definition = definitionSchema.parse({
    id: 'profiles',
    title: 'Profiles move',
    copy: { from: 'users', to: 'profiles', key: { user_id: 'id' }, columns: { bio: 'bio' } },
    rollout: [{ share: '50%' }, { share: '100%' }],
    ...more,
  })
  const result = await phases.register({ definition, sql, source: JSON.stringify(more) + sql.expand }, ANN)
  if (!result.ok) throw new Error(result.refusal.message)
}

const state = async () => {
  const migration = await phases.get('profiles')
  if (migration === undefined) throw new Error('not registered')
  return migration.state
}
const reaches = (phase: Phase) =>
  waitFor(async () => (await state()).phase === phase, { what: `the migration to stand at ${phase}` })
const advance = () => phases.command('profiles', { type: 'advance' }, ANN)
async function advanceTo(phase: Phase): Promise<void> {
  await waitFor(
    async () => {
      const { phase: stands, work } = await state()
      if (stands === phase) return true
      // It may end, and lead to `phase`, before the next command arrives.
      if (work?.status === 'pending' || work?.status === 'running') return false
      await advance()
      return false
    },
    { what: `the way to ${phase}` },
  )
}

const registration: Registration = {
  protocol: 1,
  instance: 'one',
  incarnation: 'first',
  app: 'rides-api',
  version: '1',
  onLeaseExpired: 'hold',
  migrations: { profiles: { handlers: ['old', 'new'], fenced: true } },
  positions: {},
}
/** Tells the fleet what the instance has applied and drained. */
const progress = (applied: number, drained: number) =>
  fleet.heartbeat('one', 'first', { revision: 0, positions: { profiles: { applied, drained } } })

describe('autopilot', () => {
  it('goes from planned to retired by itself, through every step of the rollout, and no further', async () => {
    // Nothing but the rule itself stands between retired and contract.
    await register({ autopilot: true, contract: { approvals: 0 } })
    engine.wake()
    await reaches('retired')
    const { rows } = await target.pool.query('select count(*)::int as count from profiles')
    expect(rows).toEqual([{ count: 2000 }])
    expect((await state()).epoch).toBe(9)
    // Contract drops data: only a person begins it (I7), and only with the approval.
    expect((await phases.gate('profiles'))?.open).toBe(true)
    engine.wake()
    await engine.stop()
    expect(await state()).toMatchObject({ phase: 'retired' })
    expect((await state()).work).toBeUndefined()
  })

  it('waits while tripwires cannot tell, and goes on once they can', async () => {
    holds = ['error-rate of new: 5 samples']
    await register({ autopilot: true })
    expect((await phases.gate('profiles'))?.open).toBe(true)
    engine.wake()
    await waitFor(() => asked >= 1)
    engine.wake()
    await waitFor(() => asked >= 2)
    expect(await state()).toMatchObject({ phase: 'planned', epoch: 1 })
    expect((await state()).work).toBeUndefined()
    holds = []
    engine.wake()
    await reaches('retired')
  })

  it('waits for an instance that has not drained, and goes on as soon as it has', async () => {
    await register({ autopilot: true })
    expect(await fleet.register(registration)).toMatchObject({ ok: true })
    await progress(1, 1)
    engine.wake()
    await reaches('expanded')
    const gate = await phases.gate('profiles')
    expect(gate?.blockers).toMatchObject([{ code: 'instance-not-drained', subject: 'one' }])
    await progress(2, 1)
    expect((await phases.gate('profiles'))?.open).toBe(false)
    await progress(2, 2)
    await reaches('dual-write')
  })
})

describe('work', () => {
  it('waits until nothing of an older epoch is in flight (I3), and then begins by itself', async () => {
    await register()
    expect(await fleet.register(registration)).toMatchObject({ ok: true })
    await progress(1, 1)
    await advanceTo('expanded')
    await progress(2, 2)
    await advanceTo('dual-write')
    await progress(3, 3)
    await advanceTo('backfill')
    await progress(4, 3)
    await waitFor(
      async () => (await worksOf(store.db, 'profiles'))[0]?.progress.stage === 'waiting for drain',
      { what: 'the backfill to wait' },
    )
    expect((await target.pool.query('select from profiles')).rowCount).toBe(0)
    expect((await worksOf(store.db, 'profiles'))[0]?.progress.throttledBy).toBe('one')
    await progress(4, 4)
    await waitFor(async () => (await state()).work?.status === 'done', { what: 'the backfill to end' })
    expect((await target.pool.query('select from profiles')).rowCount).toBe(2000)
    expect((await state()).minimum).toBe(4)
    expect(await execution.minimum('profiles')).toBe(4)
  })

  it('that is paused goes on after the pause', async () => {
    await register()
    await advanceTo('dual-write')
    await phases.command('profiles', { type: 'set-backfill', on: false }, ANN)
    await advanceTo('backfill')
    await waitFor(async () => (await worksOf(store.db, 'profiles'))[0]?.progress.throttledBy !== undefined, {
      what: 'the backfill to be held back',
    })
    await phases.command('profiles', { type: 'set-backfill', on: true }, ANN)
    await waitFor(async () => (await state()).work?.status === 'done', { what: 'the backfill to end' })
  })

  it('that failed says why, blocks the gate, and is done when it is asked for again', async () => {
    await register()
    await target.pool.query('create table profiles (elsewhere int)')
    await advance()
    await waitFor(async () => (await state()).work?.status === 'failed', { what: 'the DDL to fail' })
    expect((await state()).work?.error).toMatch(/already exists/)
    expect((await phases.gate('profiles'))?.blockers).toMatchObject([{ code: 'work-failed' }])
    await target.pool.query('drop table profiles')
    await phases.command('profiles', { type: 'retry-work' }, ANN)
    await reaches('expanded')
  })

  it('that somebody in the way has ended is begun again by itself, and says meanwhile why it waits', async () => {
    await register()
    expect(await fleet.register(registration)).toMatchObject({ ok: true })
    await progress(1, 1)
    await advanceTo('expanded')
    await progress(2, 2)
    await advanceTo('dual-write')
    await progress(3, 3)
    await advanceTo('backfill')
    const { rows } = await target.pool.query<{ name: string }>('select current_database() as name')
    // Databases have such limits; new connections of the engine get it.
    await target.pool.query(`alter database "${rows[0]?.name}" set lock_timeout = '20ms'`)
    await target.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'switchback' and state = 'idle'`)
    const holder = await target.pool.connect()
    try {
      await holder.query('begin; lock table switchback.fences in access exclusive mode')
      await progress(4, 4)
      await waitFor(
        async () => {
          const [work] = await worksOf(store.db, 'profiles')
          return (
            work?.progress.stage === 'trying again' && work.progress.throttledBy?.includes('lock timeout')
          )
        },
        { what: 'the backfill to say why it waits' },
      )
      expect((await state()).work?.status).toBe('running')
      await holder.query('commit')
    } finally {
      holder.release()
    }
    await waitFor(async () => (await state()).work?.status === 'done', { what: 'the backfill to end' })
  })

  it('of a reverted phase is called off', async () => {
    await register()
    await advanceTo('dual-write')
    await phases.command('profiles', { type: 'set-backfill', on: false }, ANN)
    await advanceTo('backfill')
    const cause = { kind: 'manual', reason: 'changed our mind' } as const
    expect(await phases.command('profiles', { type: 'revert', cause }, ANN)).toMatchObject({ ok: true })
    expect(await state()).toMatchObject({ phase: 'dual-write', latch: { reason: 'changed our mind' } })
    expect((await state()).work).toBeUndefined()
    await engine.stop()
    expect((await target.pool.query('select from profiles')).rowCount).toBe(0)
  })
})

describe('a revert further back', () => {
  it('is done by itself when the last instance has drained, down to the schema', async () => {
    await register()
    expect(await fleet.register(registration)).toMatchObject({ ok: true })
    for (const [phase, epoch] of [
      ['expanded', 2],
      ['dual-write', 3],
      ['backfill', 4],
      ['shadow', 5],
      ['ramp', 6],
    ] as const) {
      await progress(epoch - 1, epoch - 1)
      await advanceTo(phase)
    }
    await progress(6, 6)
    const cause = { kind: 'manual', reason: 'back to the start' } as const
    const reverted = await phases.command('profiles', { type: 'revert', to: 'planned', cause }, ANN)
    expect(reverted).toMatchObject({ ok: true, migration: { state: { phase: 'dual-write', epoch: 7 } } })
    // It may still be served from new, so old alone must not be written yet.
    await progress(7, 6)
    engine.wake()
    expect((await state()).phase).toBe('dual-write')
    await progress(7, 7)
    await reaches('expanded')
    await progress(8, 8)
    await reaches('planned')
    const { rows } = await target.pool.query("select to_regclass('profiles') as found")
    expect(rows).toEqual([{ found: null }])
  })
})
