import { expect, it } from 'vitest'
import { definitionSchema } from './definition.ts'
import { latestExposed, sharingTables } from './shared-tables.ts'
import { initialState, type MigrationState } from './state.ts'

const candidate = (id: string, from: string, to: string, at: number, more: Partial<MigrationState> = {}) => ({
  definition: definitionSchema.parse({
    id,
    title: id,
    copy: { from, to, key: { id: 'id' }, columns: { c: 'c' } },
  }),
  state: { ...initialState(id, 0), phase: 'ramp' as const, run: { epoch: 3, at }, ...more },
})
const a = candidate('a', 'users', 'profiles', 100)
const b = candidate('b', 'public.users', 'addresses', 200)
const c = candidate('c', 'rides', 'trips', 300)
const d = candidate('d', 'addresses', 'places', 50)
const ids = (group: readonly { definition: { id: string } }[]) => group.map(({ definition }) => definition.id)

it('puts together what shares a table, also by way of a third', () => {
  expect(sharingTables([a, c, d]).map(ids)).toEqual([['a'], ['c'], ['d']])
  expect(sharingTables([a, c, d, b]).map(ids)).toEqual([['c'], ['d', 'a', 'b']])
})

it('tells apart tables of the same name in different databases', () => {
  const elsewhere = { ...b, definition: { ...b.definition, target: 'other' } }
  expect(sharingTables([a, elsewhere]).map(ids)).toEqual([['a'], ['b']])
  const far = {
    ...a,
    definition: definitionSchema.parse({
      id: 'far',
      title: 'x',
      copy: { from: 'orders', to: 'addresses', toTarget: 'other', key: { id: 'id' }, columns: { c: 'c' } },
    }),
  }
  expect(sharingTables([far, elsewhere]).map(ids)).toEqual([['far', 'b']])
  expect(sharingTables([far, b]).map(ids)).toEqual([['far'], ['b']])
})

it('takes the one that was exposed last for the cause, and nobody once one was reverted', () => {
  expect(latestExposed([a, b])).toBe(b)
  const planned = { ...b, state: { ...b.state, phase: 'planned' as const } }
  expect(latestExposed([a, planned])).toBe(a)
  const latched = { ...b, state: { ...b.state, latch: { at: 1, reason: 'r' } } }
  expect(latestExposed([a, latched])).toBeUndefined()
})
