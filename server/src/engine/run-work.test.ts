import { type TestStore, testStore } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Execution } from '../execution/execution-port.ts'
import { type TestApi, testApi } from '../http/test-api.ts'
import type { WorkProgress } from '../phases/phase-service.ts'
import { ExecutionError } from '../target/execution-error.ts'
import { createWorkRunner, type WorkRunner } from './run-work.ts'

// Work that does not succeed, and what the runner makes of it; the work itself is tried where it is done.
const AWAY = 'the target is away'
const GOES_ON_MS = 600_000

let store: TestStore
let api: TestApi
let runner: WorkRunner
/** What the next run of the work does. */
let work: () => Promise<void>
let runs: number
let waits: number[]
let stages: WorkProgress[]
let ends: object[]
let meanwhile: () => Promise<void>
let inHand: Promise<unknown>

beforeEach(async () => {
  store = await testStore()
  api = testApi(store.db)
  runs = 0
  waits = []
  stages = []
  ends = []
  meanwhile = async () => undefined
  work = () => Promise.reject(Object.assign(new Error(AWAY), { code: 'ECONNREFUSED' }))
  const execution: Pick<Execution, 'exclusively' | 'prepare' | 'run'> = {
    exclusively: (_migration, run) => {
      const running = run(new AbortController().signal)
      inHand = running
      return running
    },
    prepare: async () => undefined,
    run: async () => {
      runs += 1
      await work()
      return { divergences: 0, detail: {} }
    },
  }
  runner = createWorkRunner({
    phases: api.phases,
    executionFor: () => execution as Execution,
    instancesOf: async () => [],
    works: {
      progress: async (_work, progress) => void stages.push(progress),
      end: async (_work, end) => void ends.push(end),
    },
    clock: api.now,
    delay: async (ms) => {
      waits.push(ms)
      await meanwhile()
      api.passTime(ms)
    },
    onFault: () => undefined,
  })
  await api.registered('moving')
  await api.phases.command('moving', { type: 'advance' }, { name: 'ann' })
})
afterEach(async () => {
  await runner.stop()
  await api.stop()
  await store.drop()
})

const migration = async () => {
  const found = await api.phases.get('moving')
  if (found === undefined) throw new Error('not registered')
  return found
}
const tick = () => new Promise(setImmediate)
/** Until what was begun is over, and the runner has taken note of it. */
async function idle(): Promise<void> {
  await tick()
  await inHand
  await tick()
}
/** One beginning, to its end: whether the engine was told to look again. */
async function begin(): Promise<boolean> {
  let ended = false
  runner.onEnded(() => {
    ended = true
  })
  runner.start(await migration())
  await idle()
  return ended
}

test('work that faults end which pass is begun again after longer and longer pauses, of 15 s at most', async () => {
  for (let time = 0; time < 12; time++) {
    // The timer begins it again, and nobody sooner: whoever is told that it ended would do so at once.
    expect(await begin()).toBe(false)
  }
  expect(runs).toBe(12)
  expect(waits).toEqual([0, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000, 15_000, 15_000])
  expect(stages.at(-1)).toEqual({ stage: 'trying again', throttledBy: AWAY })
  expect((await migration()).state.work?.status).toBe('running')
  expect(ends).toEqual([])
})

test('what has not succeeded for ten minutes has failed, and a person is to see to it', async () => {
  await begin()
  api.passTime(GOES_ON_MS)
  expect(await begin()).toBe(true)
  expect((await migration()).state.work).toMatchObject({ status: 'failed', error: AWAY })
  expect(ends).toEqual([{ error: AWAY }])
})

test('work that a person begins again has all of its time before it again', async () => {
  await begin()
  api.passTime(GOES_ON_MS)
  await begin()
  await api.phases.command('moving', { type: 'retry-work' }, { name: 'ann' })
  waits = []
  expect(await begin()).toBe(false)
  expect(waits).toEqual([0])
  expect((await migration()).state.work?.status).toBe('running')
})

test('a fault that does not pass ends the work at once', async () => {
  work = () => Promise.reject(new ExecutionError('work-impossible', 'there is no such table'))
  expect(await begin()).toBe(true)
  expect(waits).toEqual([])
  expect((await migration()).state.work).toMatchObject({ status: 'failed', error: 'there is no such table' })
})

test('work that is not asked for any more is given up during its pause, and called no failure', async () => {
  meanwhile = async () => runner.keepOnly([])
  await begin()
  expect(runs).toBe(1)
  expect((await migration()).state.work?.status).toBe('running')
  work = async () => {
    runner.keepOnly([])
    throw new ExecutionError('work-impossible', 'aborted in the middle')
  }
  await begin()
  expect((await migration()).state.work?.status).toBe('running')
})

test('work that somebody else has ended between the look and the lock is not done again', async () => {
  const seen = await migration()
  work = async () => undefined
  runner.start(seen)
  await idle()
  expect((await migration()).state.phase).toBe('expanded')
  runner.start(seen)
  await idle()
  expect(runs).toBe(1)
  expect(ends).toEqual([{ result: { divergences: 0 } }])
})

test('one run at a time, however often it is begun', async () => {
  let end: () => void = () => undefined
  work = () => new Promise((resolve) => (end = resolve))
  const seen = await migration()
  runner.start(seen)
  runner.start(seen)
  while (runs === 0) await tick()
  runner.start(seen)
  end()
  await idle()
  expect(runs).toBe(1)
})
