import { handlerManifestSchema } from '@switchback/migrations-registry'
import { expect, test } from 'vitest'
import { describeHandlers } from './describe-handlers.ts'

const handler = async () => undefined
const both = { old: handler, new: handler }
const transaction = {}

test('a version is described as registration tells of it, and can be read back', () => {
  const manifest = describeHandlers({
    app: 'rides-api',
    version: '1.4.2',
    migrations: {
      whole: { transaction, read: both, write: both, remove: both },
      'half-way': { transaction, read: { old: handler }, write: both },
      bare: { read: both, write: both },
      empty: {},
    },
  })
  expect(manifest).toEqual({
    app: 'rides-api',
    version: '1.4.2',
    migrations: {
      whole: {
        handlers: ['old', 'new'],
        fenced: true,
        read: ['old', 'new'],
        write: ['old', 'new'],
        remove: ['old', 'new'],
      },
      'half-way': { handlers: ['old'], fenced: true, read: ['old'], write: ['old', 'new'] },
      bare: { handlers: ['old', 'new'], fenced: false, read: ['old', 'new'], write: ['old', 'new'] },
      empty: { handlers: [], fenced: false },
    },
  })
  expect(handlerManifestSchema.parse(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest)
})

test('a manifest that claims more than an operation has is refused with the operation', () => {
  const parsed = handlerManifestSchema.safeParse({
    migrations: { m: { handlers: ['old', 'new'], read: ['old'] } },
  })
  expect(parsed.error?.issues).toMatchObject([
    { path: ['migrations', 'm', 'read'], message: expect.stringContaining('no handler for new') },
  ])
})
