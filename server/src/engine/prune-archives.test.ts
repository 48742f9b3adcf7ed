import { definitionSchema, initialState } from '@switchback/migrations-registry'
import { expect, test } from 'vitest'
import { pruneAll } from './prune-archives.ts'

const migration = (id: string, state: object) => ({
  definition: definitionSchema.parse({ id, title: 'x' }),
  sql: { expand: '' },
  source: '',
  checksum: '',
  revision: 1,
  compared: true,
  state: { ...initialState(id, 0), ...state },
})
const work = { kind: 'restore', epoch: 9, status: 'running' } as const

test('only what is contracted and at rest is pruned; one that fails does not stop the others', async () => {
  const asked: string[] = []
  const recorded: unknown[] = []
  const faults: unknown[] = []
  await pruneAll({
    phases: {
      list: async () => [
        migration('retired', { phase: 'retired' }),
        migration('restoring', { phase: 'contracted', work }),
        migration('failing', { phase: 'contracted' }),
        migration('young', { phase: 'contracted' }),
        migration('old', { phase: 'contracted', work: { ...work, kind: 'contract', status: 'done' } }),
      ],
    },
    executionFor: ({ id }) => ({
      pruneArchives: async () => {
        asked.push(id)
        if (id === 'failing') throw new Error('no such bucket')
        return id === 'old' ? ['/archive/old/epoch-3'] : []
      },
    }),
    record: async (...what) => void recorded.push(what),
    onFault: (_, during) => void faults.push(during),
  })
  expect(asked).toEqual(['failing', 'young', 'old'])
  expect(recorded).toEqual([['old', ['/archive/old/epoch-3']]])
  expect(faults).toEqual(['pruning of the archives of failing'])
})
