import { definitionSchema } from '@switchback/migrations-registry'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseConfig } from '../config/config.ts'
import { createLogger } from '../config/create-logger.ts'
import { openTargets, type Targets } from './open-targets.ts'

let targets: Targets
beforeAll(async () => {
  const parsed = parseConfig({
    TARGET_MAIN_URL: 'postgres://nobody@127.0.0.1:9/main',
    TARGET_FAR_URL: 'postgres://nobody@127.0.0.1:9/far',
  })
  if (!parsed.ok) throw new Error('the settings are wrong')
  const ports = { latencyP99: async () => undefined }
  targets = await openTargets(parsed.config, undefined, Date.now, createLogger('silent'), ports)
})
afterAll(() => targets.close())

const copy = { from: 'users', to: 'public.profiles', key: { id: 'id' }, columns: { bio: 'bio' } }
const inspected = (more: object) =>
  targets
    .databasesOf(definitionSchema.parse({ id: 'profiles', title: 'x', ...more }))
    .map(({ target, tables }) => ({ target, tables }))

test.each([
  ['without paths', {}, [{ target: 'main', tables: [] }]],
  ['in one database', { copy }, [{ target: 'main', tables: ['users', 'profiles'] }]],
  [
    'in two databases',
    { copy: { ...copy, toTarget: 'far' } },
    [
      { target: 'main', tables: ['users'] },
      { target: 'far', tables: ['public.profiles'] },
    ],
  ],
])('each database that a path lives in is inspected: %s', (_, more, expected) => {
  expect(inspected(more)).toEqual(expected)
})

test('a target without a connection is refused by name, with what to set', () => {
  expect(() => inspected({ copy: { ...copy, toTarget: 'other' } })).toThrow('set TARGET_OTHER_URL')
})
