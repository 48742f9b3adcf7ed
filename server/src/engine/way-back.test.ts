import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configOf, definitionSchema, PHASES, type Phase } from '@switchback/migrations-registry'
import { testDatabase, testStore, waitFor } from '@switchback/test/support'
import { afterEach, expect, it } from 'vitest'
import { composeWork } from '../compose/compose-work.ts'
import { createNewId } from '../compose/new-id.ts'
import { createExecution } from '../execution/execution.ts'
import { createFleet } from '../fleet/fleet.ts'
import { createIncidents } from '../incidents/incidents.ts'
import type { Command } from '../phases/phase-service.ts'
import type { Engine } from './engine.ts'

const ANN = { name: 'ann' }
const log = { info: () => {}, warn: () => {}, error: () => {} }
const KEYS = 300
const WRITERS = 2
const DEFINITION = definitionSchema.parse({
  id: 'profiles',
  title: 'Profiles move',
  writes: 'trigger',
  copy: { from: 'users', to: 'profiles', key: { user_id: 'id' }, columns: { bio: 'bio' } },
  contract: { approvals: 0 },
})
const SQL = {
  expand: 'create table profiles (user_id int primary key, bio text)',
  rollback: 'drop table profiles',
  contract: 'alter table users drop column bio',
}
const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** A migration of its own, with an engine that does its work. */
async function stage() {
  const store = await testStore()
  cleanup.push(() => store.drop())
  const target = await testDatabase()
  cleanup.push(() => target.drop())
  await target.pool.query(`create table users (id int primary key, name text not null default '', bio text);
    insert into users (id, bio) select i, 'first' from generate_series(1, ${KEYS}) i`)
  const archiveDir = mkdtempSync(join(tmpdir(), 'switchback-way-back-'))
  cleanup.push(() => rmSync(archiveDir, { recursive: true, force: true }))
  const execution = createExecution({ url: target.url, log, archiveDir, clock: Date.now })
  cleanup.push(() => execution.end())
  const fleet = createFleet({ db: store.db, clock: Date.now, server: 'test', log })
  cleanup.push(() => fleet.stop())
  const { phases, engine }: ReturnType<typeof composeWork> = composeWork({
    db: store.db,
    clock: Date.now,
    newId: createNewId(Date.now),
    fleet,
    reverts: createIncidents({ db: store.db, clock: Date.now, fleet }),
    targets: { executionFor: () => execution },
    holds: () => [],
    announce: () => wake(),
    onWorkProgress: () => {},
    log,
  })
  const wake: Engine['wake'] = () => engine.wake()
  cleanup.push(() => engine.stop())
  const registered = await phases.register({ definition: DEFINITION, sql: SQL, source: '' }, ANN)
  expect(registered).toMatchObject({ ok: true })
  const state = async () => {
    const migration = await phases.get('profiles')
    if (migration === undefined) throw new Error('not registered')
    return migration.state
  }
  return {
    pool: target.pool,
    phases,
    state,
    command: (asked: Command) => phases.command('profiles', asked, ANN),
  }
}
type Stage = Awaited<ReturnType<typeof stage>>

/** Clients without the SDK: each asks which path to write, writes it, and notes what was acknowledged. */
function traffic({ pool, state }: Stage) {
  const acknowledged = new Map<number, string>()
  const rounds = Array.from({ length: WRITERS }, () => 0)
  let stopped = false
  const writers = rounds.map(async (_, writer) => {
    for (let n = 0; !stopped; n++) {
      // Keys of its own, so that the newest acknowledged value of each is known.
      const key = ((n * 7) % (KEYS / WRITERS)) * WRITERS + writer + 1
      const value = `${writer}.${n}`
      const { write } = configOf(DEFINITION, await state())
      await pool.query(
        write === 'old'
          ? 'update users set bio = $2 where id = $1'
          : 'insert into profiles values ($1, $2) on conflict (user_id) do update set bio = excluded.bio',
        [key, value],
      )
      acknowledged.set(key, value)
      rounds[writer] = n
    }
  })
  return {
    acknowledged,
    /** Until everybody has asked anew, and written. */
    goOn: async () => {
      const before = [...rounds]
      await waitFor(() => rounds.every((n, i) => n > (before[i] ?? 0) + 2))
    },
    stop: async () => {
      stopped = true
      await Promise.all(writers)
    },
  }
}

/** One step forward, and the work of the phase that it leads to. */
async function forward({ phases, state, command }: Stage): Promise<void> {
  const { epoch } = await state()
  await waitFor(async () => (await phases.gate('profiles'))?.open, { what: 'the gate to open' })
  const refused: unknown[] = []
  // Who is in the middle of a transaction keeps the fence from being passed, for as long as it takes.
  await waitFor(
    async () => {
      const answer = await command({ type: 'advance' })
      if (!answer.ok) refused.push(...(answer.blockers ?? [answer.refusal]).map(({ code }) => code))
      return answer.ok
    },
    { what: 'the advance to go through' },
  )
  if (refused.length > 0) console.log(`refused at first: ${refused.join(', ')}`)
  await arrived(epoch, state)
}

async function back({ state, command }: Stage): Promise<void> {
  const { epoch, phase } = await state()
  const asked =
    phase === 'contracted'
      ? ({ type: 'restore' } as const)
      : ({ type: 'revert', cause: { kind: 'manual', reason: `back from ${phase}` } } as const)
  expect(await command(asked)).toMatchObject({ ok: true })
  await arrived(epoch, state)
}

const arrived = (epoch: number, state: Stage['state']) =>
  waitFor(
    async () => {
      const { work, pending, ...now } = await state()
      if (work?.status === 'failed') throw new Error(work.error)
      return now.epoch > epoch && pending === undefined && (work === undefined || work.status === 'done')
    },
    { what: 'the step to be taken and its work to end' },
  )

it.each(PHASES.slice(1))(
  'from %s the way leads back to planned, step by step under traffic, and no write is lost',
  async (phase) => {
    const on = await stage()
    const clients = traffic(on)
    const way: Phase[] = []
    try {
      while ((await on.state()).phase !== phase) {
        await forward(on)
        await clients.goOn()
      }
      while ((await on.state()).phase !== 'planned') {
        way.push((await on.state()).phase)
        await back(on)
        await clients.goOn()
      }
    } finally {
      await clients.stop()
    }
    const short: readonly Phase[] = ['dual-write', 'expanded']
    const ways: Partial<Record<Phase, readonly Phase[]>> = {
      expanded: ['expanded'],
      'dual-write': short,
      retired: ['retired', 'promoted', ...short],
      contracted: ['contracted', 'retired', 'promoted', ...short],
    }
    expect(way).toEqual(ways[phase] ?? [phase, ...short])
    const { rows } = await on.pool.query<{ id: number; bio: string }>('select id, bio from users')
    const stored = new Map(rows.map(({ id, bio }) => [id, bio]))
    expect(stored.size).toBe(KEYS)
    expect([...clients.acknowledged].filter(([key, value]) => stored.get(key) !== value)).toEqual([])
    expect((await on.pool.query(`select to_regclass('profiles') as there`)).rows).toEqual([{ there: null }])
  },
)
