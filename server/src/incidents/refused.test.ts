import { type TestStore, testStore } from '@switchback/test/support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TestApi, testApi } from '../http/test-api.ts'

let store: TestStore
let api: TestApi

beforeAll(async () => {
  store = await testStore()
  api = testApi(store.db)
})
afterAll(async () => {
  await api.stop()
  await store.drop()
})

test('reverts that are refused from one epoch open one incident, however many ask at the same time', async () => {
  await api.ramped('profiles', 'retire: { after: 0s }\n')
  for (const phase of ['promoted', 'retired']) {
    const result = await api.phases.command('profiles', { type: 'advance' }, { name: 'ann' })
    expect(result.ok && result.migration.state.phase).toBe(phase)
  }
  const cause = { kind: 'alert', reason: 'new fails' } as const
  const ask = () => api.phases.command('profiles', { type: 'revert', cause }, { name: 'alert' })
  const results = [await ask(), ...(await Promise.all([ask(), ask(), ask()]))]
  const incidents = await api.incidents.list({ migration: 'profiles', limit: 10 })
  expect(incidents.map(({ kind, status }) => [kind, status])).toEqual([['refused', 'open']])
  const [opened] = incidents
  expect(results.map((each) => !each.ok && [each.refusal.code, each.incident])).toEqual(
    results.map(() => ['old-incomplete', opened?.id]),
  )
  const { timeline } = (await api.incidents.get(opened?.id ?? '')) ?? { timeline: [] }
  expect(timeline.map(({ kind }) => kind)).toEqual(['revert-refused'])
  const { rows } = await store.db.query(
    `select count(*)::int as told from audit_events where kind = 'revert.refused'`,
  )
  expect(rows).toEqual([{ told: 1 }])
})
