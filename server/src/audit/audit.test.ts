import type { TestStore } from '@switchback/test/support'
import { testStore } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { auditHash, recordChange } from '../changes/record-change.ts'
import type { Db } from '../db/db.ts'
import { createAudit } from './audit.ts'

let store: TestStore
const record = (n: number) =>
  store.db.tx((tx) =>
    recordChange(tx, {
      at: 1_795_000_000_000 + n,
      actor: 'a',
      kind: 'k',
      subject: `s${n % 2}`,
      detail: { n, ä: null },
    }),
  )

beforeEach(async () => {
  store = await testStore()
  for (let n = 1; n <= 5; n++) await record(n)
})
afterEach(() => store.drop())

test('an untouched log is proven, also while it grows', async () => {
  let grown = 0
  const growing: Db = {
    ...store.db,
    tx: (work) =>
      store.db.tx((tx) =>
        work({
          query: async (text, params) => {
            const result = await tx.query<never>(text, params)
            if (text.includes('from audit_events')) await record(100 + grown++)
            return result
          },
        }),
      ),
  }
  expect(await createAudit({ db: growing }).verify()).toMatchObject({ ok: true, events: 5 })
  expect(grown).toBeGreaterThan(0)
  expect(await createAudit({ db: store.db }).verify()).toMatchObject({ ok: true, events: 5 + grown })
})

test.each([
  ['altered', `update audit_events set actor = 'b' where revision = 3`, 3],
  ['altered in its detail', `update audit_events set detail = '{"n":3}' where revision = 3`, 3],
  ['removed', 'delete from audit_events where revision = 3', 4],
  ['cut off', 'delete from audit_events where revision = 5', 4],
  [
    'added',
    `insert into audit_events select 6, at, actor, kind, subject, detail, hash, hash from audit_events where revision = 5`,
    6,
  ],
  ['promised by the head and is not there', 'update head set revision = 6', 5],
  ['told of as following another', `update audit_events set previous_hash = hash where revision = 3`, 3],
  [
    'put behind the next',
    `update audit_events set revision = 9 where revision = 3; update audit_events set revision = 3 where revision = 4;
     update audit_events set revision = 4 where revision = 9`,
    3,
  ],
])('an event that was %s is found', async (_, tamper, brokenAt) => {
  await store.db.query(tamper)
  expect(await createAudit({ db: store.db }).verify()).toMatchObject({ ok: false, brokenAt })
})

test('a log whose end was written anew, each event following from the one before, is found by the head', async () => {
  const { rows } = await store.db.query<{ at: Date; kind: string; subject: string; previous_hash: string }>(
    'select at, kind, subject, previous_hash from audit_events where revision = 5',
  )
  const [last] = rows
  if (last === undefined) throw new Error('there are five')
  const forged = { ...last, revision: 5, at: last.at.toISOString(), actor: 'b', detail: '{}' }
  await store.db.query(`update audit_events set actor = 'b', detail = '{}', hash = $1 where revision = 5`, [
    auditHash(last.previous_hash, forged),
  ])
  expect(await createAudit({ db: store.db }).verify()).toMatchObject({ ok: false, brokenAt: 5, events: 5 })
})

test('what is missing is named', async () => {
  await store.db.query('delete from audit_events where revision = 3')
  expect(await createAudit({ db: store.db }).verify()).toMatchObject({
    problem: 'revision 3 is missing, or one after it',
  })
})

test('revisions that a restored store passes over are no gap, and one that is removed behind them is', async () => {
  await store.db.tx((tx) => recordChange(tx, { at: 0, actor: 'a', kind: 'k', leap: 1000 }))
  await record(7)
  const audit = createAudit({ db: store.db })
  expect(await audit.verify()).toMatchObject({ ok: true, events: 7 })
  await store.db.query('delete from audit_events where revision = 1006')
  expect(await audit.verify()).toMatchObject({ ok: false, brokenAt: 1007, events: 5 })
})

test('events are told by subject, onward or back', async () => {
  const audit = createAudit({ db: store.db })
  const asc = await audit.events({ since: 1, order: 'asc', limit: 2 })
  expect(asc.map((event) => event.revision)).toEqual([2, 3])
  const desc = await audit.events({ subject: 's1', before: 5, order: 'desc', limit: 10 })
  expect(desc.map((event) => event.revision)).toEqual([3, 1])
})
