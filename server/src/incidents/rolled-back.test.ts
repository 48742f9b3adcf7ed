import { type TestStore, testStore } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TestApi, testApi } from '../http/test-api.ts'

let store: TestStore
let api: TestApi
beforeEach(async () => {
  store = await testStore()
  api = testApi(store.db)
})
afterEach(async () => {
  await api.stop()
  await store.drop()
})

const actor = { name: 'test' }
async function command(command: Parameters<TestApi['phases']['command']>[1]) {
  const result = await api.phases.command('bios', command, actor)
  if (!result.ok) throw new Error(JSON.stringify(result))
}
const state = async () => {
  const migration = await api.phases.get('bios')
  if (migration === undefined) throw new Error('bios is not there')
  return migration.state
}
async function done(kind: 'expand' | 'rollback', detail: Readonly<Record<string, unknown>>) {
  await command({ type: 'work-started', kind, epoch: (await state()).work?.epoch ?? 0 })
  await command({ type: 'work-done', kind, epoch: (await state()).work?.epoch ?? 0, divergences: 0, detail })
}

test.each([
  [{ verified: true, left: [] }, 'The schema is as it was before expand.'],
  [
    { verified: false, left: ['privileges of public.users is missing (grant select …)'] },
    'rollback.sql has run, and the schema is not as it was before expand: privileges of public.users is missing (grant select …).',
  ],
  [{}, 'rollback.sql has run.'],
])('the incident says whether the rollback has put the schema back: %j', async (detail, message) => {
  await api.registered('bios')
  await command({ type: 'advance' })
  await done('expand', {})
  expect((await state()).phase).toBe('expanded')
  await command({ type: 'revert', cause: { kind: 'manual', reason: 'it was wrong' } })
  const incident = (await state()).latch?.incident ?? ''
  const { epoch } = await state()
  if ((await state()).work?.kind !== 'rollback') await command({ type: 'fence-passed', epoch })
  await done('rollback', detail)
  expect((await state()).phase).toBe('planned')
  const timeline = (await api.incidents.get(incident))?.timeline ?? []
  expect(timeline.map(({ kind }) => kind)).toEqual(['asked', 'rolled-back'])
  expect(timeline[0]?.message).toMatch(/: it was wrong\. The flags stay for now\.$/)
  expect(timeline[1]?.message).toBe(message)
})
