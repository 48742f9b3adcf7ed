import { expect, test } from 'vitest'
import { createStoreTime } from './store-time.ts'

const HOUR = 3_600_000

function at(start: number) {
  let now = start
  const time = createStoreTime({ leaseMs: 15_000, monotonic: () => now })
  return {
    time,
    /** The store tells its time after a query of this length. */
    look: (storeMs: number, length = 2) => {
      time.observe(storeMs, now, now + length)
      now += length
    },
    pass: (ms: number) => {
      now += ms
    },
  }
}

test('a store clock that runs as it should gives no grace', () => {
  const { time, look, pass } = at(500)
  look(HOUR)
  pass(5_000)
  look(HOUR + 5_002)
  expect(time.grace()).toBe(0)
})

test('a jump ahead is given back to leases until those from before it have run out', () => {
  const { time, look, pass } = at(500)
  look(HOUR)
  pass(1_000)
  look(2 * HOUR)
  expect(time.grace()).toBeGreaterThan(HOUR - 1_100)
  pass(14_000)
  expect(time.grace()).toBeGreaterThan(0)
  pass(1_001)
  expect(time.grace()).toBe(0)
})

test('a slow answer is not taken for a jump, nor is a jump back', () => {
  const { time, look, pass } = at(500)
  look(HOUR)
  look(HOUR + 9_000, 10_000)
  expect(time.grace()).toBe(0)
  pass(10)
  look(HOUR - 500_000)
  expect(time.grace()).toBe(0)
})
