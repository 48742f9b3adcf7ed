import { expect, test } from 'vitest'
import { estimateOf, measuredInTarget } from './estimate.ts'

const facts = (bytes: number, rows: number) => ({
  table: 'users',
  bytes,
  totalBytes: bytes * 1.5,
  rows,
  readsPerSecond: 0,
  writesPerSecond: 0,
})

test.each([
  ['catalog only', 'catalog', undefined, { ms: 5, basis: 'catalog only' }],
  [
    'without a measurement',
    'scan',
    undefined,
    { ms: 5005, lowMs: 1251, highMs: 20_020, basis: 'assumed rates' },
  ],
  ['a rewrite counts the indexes', 'rewrite', undefined, { ms: 37_505, basis: 'assumed rates' }],
  ['rows', 'rows', undefined, { ms: 200_005, basis: 'assumed rates' }],
  [
    'too quick to tell',
    'scan',
    { ms: 2, bytes: 1e6, rows: 10_000, slowdown: 1 },
    { ms: 5005, basis: 'assumed rates' },
  ],
  [
    'a thousandth was measured',
    'scan',
    { ms: 12, bytes: 1e6, rows: 10_000, slowdown: 1 },
    { ms: 10_002, lowMs: 2500, highMs: 80_016, basis: 'measured on a sample' },
  ],
  [
    'the target reads at half the speed',
    'scan',
    { ms: 12, bytes: 1e6, rows: 10_000, slowdown: 2 },
    { ms: 20_002, basis: 'measured on a sample' },
  ],
  [
    'all of it was measured',
    'rewrite',
    { ms: 102, bytes: 1e9, rows: 10_000_000, slowdown: 1 },
    { ms: 102, lowMs: 68, highMs: 153, basis: 'measured on a sample' },
  ],
  [
    'sorting takes more than in proportion',
    'index build',
    { ms: 12, bytes: 1e6, rows: 10_000, slowdown: 1 },
    { ms: 20_002, basis: 'measured on a sample' },
  ],
] as const)('%s: %s', (_, work, measured, expected) => {
  expect(estimateOf(work, [facts(1e9, 10_000_000)], measured)).toMatchObject(expected)
})

test('where the planner knows no rows, sizes tell how much larger the target is', () => {
  const measured = { ms: 12, bytes: 1e6, rows: 10_000, slowdown: 1 }
  expect(estimateOf('scan', [facts(10e6, 0)], measured)).toMatchObject({ ms: 102, lowMs: 51, highMs: 306 })
})

test('what ran in the target itself is known best', () => {
  expect(measuredInTarget(100)).toEqual({ ms: 100, lowMs: 66, highMs: 150, basis: 'measured in the target' })
})
