import { type TestStore, testStore } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { pruneRecords } from './prune-records.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2026, 10, 28)
let store: TestStore
beforeEach(async () => {
  store = await testStore()
})
afterEach(() => store.drop())

const ago = (days: number): Date => new Date(NOW - days * DAY)
const prune = (alertsDays: number, noticesDays: number) =>
  pruneRecords({ db: store.db, clock: () => NOW, retention: { alertsDays, noticesDays } })
const alert = (id: string, days: number, more: { status?: string; incident?: string; last?: number } = {}) =>
  store.db.query(
    `insert into alerts (id, source, dedup_key, token, received_at, signal, status, incident, last_at)
     values ($1, 'plain', $1, 't', $2, '{}', $3, $4, $5)`,
    [
      id,
      ago(days),
      more.status ?? 'decided',
      more.incident ?? null,
      more.last === undefined ? null : ago(more.last),
    ],
  )
const left = async (table: string, id = 'id'): Promise<readonly string[]> =>
  (await store.db.query<{ id: string }>(`select ${id} as id from ${table} order by 1`)).rows.map((row) =>
    String(row.id),
  )

test('alerts go when they are over, old and of no incident; the audit log stays', async () => {
  await store.db.query(
    `insert into incidents (id, migration, status, title, cause, from_phase, to_phase, from_epoch, to_epoch, opened_at)
     values ('i1', 'm', 'resolved', 't', '{}', 'ramp', 'dual-write', 1, 2, $1)`,
    [ago(400)],
  )
  await store.db.query(
    `insert into audit_events (revision, at, actor, kind, previous_hash, hash) values (1, $1, 'x', 'x', '', '')`,
    [ago(400)],
  )
  await alert('dead', 91, { status: 'dead' })
  await alert('fresh', 89)
  await alert('incident', 400, { incident: 'i1' })
  await alert('old', 91)
  await alert('repeated', 400, { last: 1 })
  await alert('silent', 400, { last: 91 })
  await alert('undecided', 400, { status: 'received' })
  expect(await prune(90, 90)).toMatchObject({ alerts: 3 })
  expect(await left('alerts')).toEqual(['fresh', 'incident', 'repeated', 'undecided'])
  expect(await left('incidents')).toEqual(['i1'])
  expect(await left('audit_events', 'revision')).toEqual(['1'])
})

test('notifications, escalations and breaches go by their own ages; what is open stays', async () => {
  await store.db.query(
    `insert into channels (id, name, kind, secret, created_at, created_by) values ('c', 'c', 'slack', '', now(), 'x');
     insert into incidents (id, migration, status, title, cause, from_phase, to_phase, from_epoch, to_epoch, opened_at)
     select 'i' || i, 'm', 'resolved', 't', '{}', 'ramp', 'dual-write', i, i + 1, now() from generate_series(1, 2) i`,
  )
  for (const [id, status, days] of [
    ['failed', 'failed', 31],
    ['new', 'sent', 29],
    ['pending', 'pending', 31],
    ['sent', 'sent', 31],
  ] as const) {
    await store.db.query(
      `insert into notifications (id, key, channel, notice, status, next_at, created_at)
       values ($1, $1, 'c', '{}', $2, now(), $3)`,
      [id, status, ago(days)],
    )
  }
  for (const [id, ended] of [
    ['i1', ago(31)],
    ['i2', null],
  ] as const) {
    await store.db.query(
      `insert into escalations (incident, contacts, pause_ms, notice, ended_at) values ($1, '{}', 1, '{}', $2)`,
      [id, ended],
    )
  }
  for (const [tripwire, ended] of [
    ['ended', ago(91)],
    ['lately', ago(89)],
    ['open', null],
  ] as const) {
    await store.db.query(
      `insert into breaches (migration, tripwire, epoch, action, reason, explanation, began_at, ended_at)
       values ('m', $1, 1, 'notify', 'r', 'e', $2, $3)`,
      [tripwire, ago(400), ended],
    )
  }
  expect(await prune(90, 30)).toEqual({ alerts: 0, breaches: 1, notifications: 2, escalations: 1 })
  expect(await left('notifications')).toEqual(['new', 'pending'])
  expect(await left('escalations', 'incident')).toEqual(['i2'])
  expect(await left('breaches', 'tripwire')).toEqual(['lately', 'open'])
})

test('more than a batch goes in one round; 0 days keeps all', async () => {
  await store.db.query(
    `insert into alerts (id, source, dedup_key, token, received_at, signal, status)
     select 'a' || i, 'plain', 'a' || i, 't', $1, '{}', 'decided' from generate_series(1, 2500) i`,
    [ago(91)],
  )
  expect(await prune(0, 0)).toEqual({ alerts: 0, breaches: 0, notifications: 0, escalations: 0 })
  expect(await prune(90, 90)).toMatchObject({ alerts: 2500 })
})
