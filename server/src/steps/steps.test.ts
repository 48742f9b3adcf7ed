import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type BackfillStep,
  definitionSchema,
  type StepRow,
  type StepValues,
  type WorkKind,
} from '@switchback/migrations-registry'
import { waitFor } from '@switchback/test/support'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTarget } from '../execution/execution.ts'
import { type ExecutionWorld, executionWorld, orderOf } from '../execution/execution-for-tests.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'
import type { Target } from '../target/target.ts'
import { createSteps } from './load-step.ts'
import { stepExecutionOn } from './step-execution.ts'

const ROWS = 300

let world: ExecutionWorld
let target: Target
let execution: Execution
/** New: a store of this process, by key. */
let store: Map<string, StepValues>
let step: BackfillStep
let written: StepRow[]

const definition = (copy: object = {}) =>
  definitionSchema.parse({
    id: 'things',
    title: 'Things',
    copy: {
      ...{
        from: 'old_t',
        to: 'store',
        step: './backfill.ts',
        key: { id: 'id' },
        columns: { v: 'v', n: 'n' },
      },
      ...{ chunk: { min: 20, max: 20 } },
      ...copy,
    },
  })
const run = (kind: WorkKind, more: Partial<WorkOrder> = {}, copy: object = {}) =>
  execution.run(kind, orderOf(definition(copy), more))

beforeEach(async () => {
  world = await executionWorld('things')
  await world.pool.query(`create table old_t (id int primary key, v text, n int);
    insert into old_t select i, 'v' || i, nullif(i % 5, 0) from generate_series(1, ${ROWS}) i`)
  store = new Map()
  written = []
  step = {
    write: async (rows) => {
      for (const row of rows) {
        written.push(row)
        store.set(row.key.join('/'), row.values)
      }
    },
    read: async (keys) => keys.map((key) => store.get(key.join('/'))),
    remove: async (keys) => {
      for (const key of keys) store.delete(key.join('/'))
    },
    keys: async (after = '0') => {
      const all = [...store.keys()].sort()
      const from = Number(after)
      return {
        keys: all.slice(from, from + 100).map((key) => key.split('/')),
        ...(from + 100 < all.length ? { next: String(from + 100) } : {}),
      }
    },
  }
  target = openTarget({ url: world.database.url, log: { warn: () => undefined } })
  execution = stepExecutionOn(
    target,
    { archiveDir: '/nonexistent', clock: Date.now },
    { load: async () => step, missing: async () => undefined, close: async () => undefined },
  )
})
afterEach(async () => {
  await target.end()
  await world.drop()
})

/** Keys of which old and the store say different things. */
async function different(): Promise<string[]> {
  const { rows } = await world.pool.query<{ id: string; v: string | null; n: string | null }>(
    'select id::text, v, n::text from old_t',
  )
  const old = new Map(rows.map(({ id, ...values }) => [id, JSON.stringify(values)]))
  const fresh = new Map([...store].map(([key, { v, n }]) => [key, JSON.stringify({ v, n })]))
  return [...new Set([...old.keys(), ...fresh.keys()])].filter((key) => old.get(key) !== fresh.get(key))
}

test.each([
  ['in the order of an index', { id: 'id' }],
  ['by blocks, where the key has none', { id: 'id + 0' }],
])('history goes through a step %s, and is verified, repaired and cleared by it', async (_, key) => {
  const { detail } = await run('backfill', {}, { key })
  expect(detail).toMatchObject({ rows: ROWS, failedRows: 0 })
  expect(await different()).toEqual([])
  expect(written.find(({ key: [id] }) => id === '5')?.values).toEqual({ v: 'v5', n: null })

  store.set('17', { v: 'wrong', n: '2' })
  store.delete('18')
  store.set('9000', { v: 'ghost', n: null })
  const verified = await run('verify', {}, { key })
  expect(verified).toMatchObject({
    divergences: 0,
    compared: { rows: ROWS, differing: 3, left: 0 },
    detail: { repaired: 3, passes: 2, rows: { old: ROWS } },
  })
  expect(verified.detail.mismatches).toEqual(
    expect.arrayContaining([
      { key: '17', kind: 'differs', columns: ['v'], values: { v: { old: 'v17', new: 'wrong' } } },
      { key: '18', kind: 'missing', columns: [] },
      { key: '9000', kind: 'extra', columns: [] },
    ]),
  )
  expect(await different()).toEqual([])
})

/** A dual write as the SDK runs it with the transaction of old alone: new is written inside of it. */
async function dual(client: pg.Client, id: number, n: number): Promise<void> {
  await client.query('begin')
  await client.query(`select switchback."enter:things"(1, $1)`, [String(id)])
  const value = { v: `w${n}`, n: String(n) }
  if (n % 4 === 0) await client.query('delete from old_t where id = $1', [id])
  else {
    await client.query(
      'insert into old_t values ($1, $2, $3) on conflict (id) do update set v = excluded.v, n = excluded.n',
      [id, value.v, n],
    )
  }
  if (n % 4 === 0) store.delete(String(id))
  else store.set(String(id), value)
  await client.query('commit')
}

test('a step copies beside guarded writers, and nothing is left to repair', async () => {
  const slow = step.write
  // Long enough for writers to come in between what was read and what is written, if they could.
  step = {
    ...step,
    write: (rows, context) => new Promise((done) => setImmediate(() => done(slow(rows, context)))),
  }
  let copied = false
  let writing = 0
  const writers = [0, 1, 2].map(async (w) => {
    const client = await world.client()
    for (let n = w; !copied || n < 150; n += 1) {
      if (n === w + 3) writing += 1
      await dual(client, 1 + ((n * 37) % 340), n)
    }
  })
  await waitFor(() => writing === 3)
  await run('backfill')
  copied = true
  await Promise.all(writers)
  expect(await different()).toEqual([])
  expect(await run('verify')).toMatchObject({ divergences: 0, detail: { repaired: 0 } })
})

test('a writer waits until the step has written its row', async () => {
  let release = () => {}
  let asked = false
  const { write } = step
  step = {
    ...step,
    write: async (rows, context) => {
      if (rows.some(({ key: [id] }) => id === '7')) {
        asked = true
        await new Promise<void>((resolve) => {
          release = resolve
        })
      }
      return write(rows, context)
    },
  }
  const copying = run('backfill')
  await waitFor(() => asked)
  const client = await world.client()
  const writing = dual(client, 7, 7)
  await waitFor(async () => {
    const { rowCount } = await world.pool.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and query like 'insert into old_t%'`,
    )
    return rowCount === 1
  })
  release()
  await Promise.all([copying, writing])
  expect(store.get('7')).toEqual({ v: 'w7', n: '7' })
  expect(await different()).toEqual([])
})

test('rows that a step refuses are listed, thrown for or named, and tried again', async () => {
  const { write } = step
  const refusing = (refused: readonly string[]): BackfillStep => ({
    ...step,
    write: async (rows, context) => {
      if (rows.some(({ key: [id] }) => id === '33')) throw new TypeError('the payload of 33 is too large')
      const failed = rows.filter(({ key: [id] }) => refused.includes(id ?? ''))
      await write(
        rows.filter((row) => !failed.includes(row)),
        context,
      )
      return { failed: failed.map(({ key }) => ({ key, error: 'not wanted' })) }
    },
  })
  const plain = step
  step = refusing(['44', '200'])
  const { detail } = await run('backfill')
  expect(detail).toMatchObject({ failedRows: 3 })
  expect(await execution.listFailedRows('things', { limit: 10 })).toMatchObject([
    { key: '200', sqlstate: 'step-failed', error: 'not wanted' },
    { key: '33', sqlstate: 'step-failed', error: 'write(): the payload of 33 is too large' },
    { key: '44', sqlstate: 'step-failed', error: 'not wanted' },
  ])
  expect(await different()).toEqual(['33', '44', '200'])
  step = plain
  expect((await run('backfill')).detail).toMatchObject({ failedRows: 0, retriedRows: 3 })
  expect(await different()).toEqual([])
})

test('what may pass is tried again; a copy that was called off goes on where it was', async () => {
  const { write } = step
  let refusals = 4
  step = {
    ...step,
    write: async (rows, context) => {
      refusals -= 1
      if (refusals > 2) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
      if (refusals > 0) throw Object.assign(new Error('the store is moving'), { retryable: true })
      return write(rows, context)
    },
  }
  const stop = new AbortController()
  let left = 8
  const running = run('backfill', {
    signal: stop.signal,
    heldBackBy: () => {
      left -= 1
      return left < 0 ? 'the test' : undefined
    },
  })
  await waitFor(() => left < -1)
  stop.abort()
  await expect(running).rejects.toMatchObject({ code: 'work-stopped' })
  const before = written.length
  expect(before).toBeGreaterThan(0)
  const { detail } = await run('backfill')
  expect(detail).toMatchObject({ rows: ROWS, failedRows: 0, resumedAt: before })
  // No range that was done is written twice.
  expect(written.length).toBe(ROWS)
  expect(await different()).toEqual([])
})

test('the way back brings old up to what the step lists, and needs it to list', async () => {
  await run('backfill')
  store.set('17', { v: 'newer', n: '2' })
  store.delete('18')
  store.set('9000', { v: 'later', n: null })
  const { detail } = await run('reverse-backfill')
  expect(detail).toMatchObject({ repaired: 3, faults: [] })
  expect(await different()).toEqual([])
  expect((await world.pool.query('select v from old_t where id = 9000')).rows).toEqual([{ v: 'later' }])
  const { keys: _, ...silent } = step
  step = silent
  await expect(run('reverse-backfill')).rejects.toThrow(/no keys\(\).*no way back to old_t/)
  expect((await run('verify')).detail.method).toMatch(/what only new has was not looked for/)
})

test('keys that wait for repair are written by the step, and taken back from it', async () => {
  await run('backfill')
  store.delete('5')
  store.set('6', { v: 'newer', n: null })
  await world.pool.query(`select switchback.queue_repair('things', '5', 'new', 3, 'x');
    select switchback.queue_repair('things', '6', 'old', 3, 'x')`)
  expect(await execution.repairs('things')).toEqual({ old: 1, new: 1 })
  expect(await execution.repairSome(definition(), 10)).toBe(2)
  expect(await execution.repairs('things')).toEqual({ old: 0, new: 0 })
  expect(store.get('5')).toEqual({ v: 'v5', n: null })
  expect(await different()).toEqual([])
})

describe('the code of a step', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchback-steps-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const YAML =
    'id: things\ntitle: x\ncopy: { from: old_t, to: store, step: ./backfill.ts, key: { id: id }, columns: { v: v } }\n'
  const writeFolder = async (code?: string): Promise<string> => {
    await mkdir(join(folder, 'a'))
    await writeFile(join(folder, 'a', 'migration.yaml'), YAML)
    await writeFile(join(folder, 'a', 'expand.sql'), '-- nothing\n')
    const file = join(folder, 'a', 'backfill.ts')
    if (code !== undefined) await writeFile(file, code)
    return file
  }

  test('lies in the folder of the server, or its absence is explained', async () => {
    const things = definition()
    expect(await createSteps(undefined).missing(things)).toMatch(
      /put the folder of things .* under MIGRATIONS_DIR/,
    )
    expect(await createSteps(folder).missing(things)).toMatch(/has no folder of the migration things/)
    const file = await writeFolder()
    expect(await createSteps(folder).missing(things)).toMatch(/names \.\/backfill\.ts, which is not in/)
    await writeFile(join(folder, 'outside.ts'), 'export default {}')
    await symlink(join(folder, 'outside.ts'), file)
    expect(await createSteps(folder).missing(things)).toMatch(/which is not in/)
    await expect(createSteps(folder).load(things)).rejects.toMatchObject({ code: 'work-impossible' })
  })

  test('is loaded though it is TypeScript', async () => {
    await writeFolder(`type Rows = readonly unknown[]
      export default { write: async (rows: Rows) => {}, read: async (): Promise<Rows> => ['x'], remove: async () => {} }`)
    const steps = createSteps(folder)
    expect(await steps.missing(definition())).toBeUndefined()
    const context = { migration: 'things', signal: new AbortController().signal }
    expect(await (await steps.load(definition())).read([], context)).toEqual(['x'])
    await steps.close()
  })

  test.each([
    ['export default { write: async () => {} }', /read, remove is missing \(see defineBackfillStep\)/],
    ['const x: = 1', /backfill\.ts cannot be loaded/],
    ["throw new Error('no address')", /backfill\.ts cannot be loaded: no address/],
  ])('is refused where it is %s', async (code, message) => {
    await writeFolder(code)
    await expect(createSteps(folder).load(definition())).rejects.toThrow(message)
  })
})
