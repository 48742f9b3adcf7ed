import { expect, test } from 'vitest'
import { definitionSchema } from './definition.ts'
import { initialState } from './state.ts'
import { evaluateTripwires } from './tripwires.ts'
import { createWindows } from './windows.ts'

const judged = (tripwire: object, compared?: { rows: number; differing: number; left: number }) => {
  const definition = definitionSchema.parse({
    id: 'm',
    title: 'M',
    copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { v: 'v' } },
    tripwires: [{ do: 'revert', ...tripwire }],
  })
  const state = initialState('m', 0)
  const work = {
    kind: 'verify',
    epoch: 5,
    status: 'failed',
    ...(compared === undefined ? {} : { compared }),
  } as const
  const facts = { now: 1, windows: createWindows(new Map()), database: {}, live: 0, listeningSince: 0 }
  return evaluateTripwires(definition, { ...state, phase: 'shadow', work }, facts)[0]
}
const found = { rows: 10_000, differing: 30, left: 2 }

test.each([
  ['keys that are left after repair', { watch: 'verification' }, 'revert'],
  ['no more of them than the limit', { watch: 'verification', above: 2 }, 'none'],
  ['keys that differed, though they are repaired', { watch: 'divergence', above: 20 }, 'revert'],
  ['a share of the rows above the limit', { watch: 'divergence', above: '0.1%' }, 'revert'],
  ['a share of the rows below it', { watch: 'divergence', above: '1%' }, 'none'],
  ['a dry run', { watch: 'verification', dryRun: true }, 'none'],
])('verification as a trigger: %s', (_what, tripwire, action) => {
  expect(judged(tripwire, found)).toMatchObject({ action })
})

test('nothing is judged before a verification has ended, and what was found is told', () => {
  expect(judged({ watch: 'verification' })).toMatchObject({ outcome: 'fine', reason: 'not-in-use' })
  expect(judged({ watch: 'divergence', above: '0.1%' }, found)).toMatchObject({
    name: 'divergence above 0.1% of the rows',
    explanation: '30 keys of 10000 differed; the limit is 0.1% of the rows.',
  })
})
