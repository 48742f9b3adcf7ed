import { expect, it } from 'vitest'
import { createPace, mostRows, SHORTEST_CHUNK } from './pace.ts'
import { restsAt } from './rests.ts'

/**
 * An application and a copy on one database, second by second. `suffers` says how many times longer the
 * application's operations take at this pace; `usual` what they take without a copy.
 */
function together(world: {
  readonly suffers: (rowsPerSecond: number, second: number) => number
  readonly usual?: (second: number) => number
  readonly operationsPerSecond?: number
  /** Faster than this the copy does not get. */
  readonly possible?: number
}) {
  const { suffers, usual = () => 10, operationsPerSecond = 200, possible = Number.POSITIVE_INFINITY } = world
  let second = 0
  const measured: { at: number; p99: number }[] = []
  const pace = createPace({ clock: () => second * 1000, factor: () => 1.3 })
  const paces: number[] = []
  const rested: number[] = []
  /** Of the last ten seconds; what was measured in the last two has not arrived yet. */
  const latencies = async (since: number) => {
    const window = measured.filter(
      ({ at }) => at * 1000 >= since - 2_000 && at > second - 10 && at <= second - 2,
    )
    if (window.length === 0) return []
    const p99 = Math.max(...window.map((each) => each.p99))
    return [{ kind: 'reads of old', p99, count: window.length * operationsPerSecond }]
  }
  const pass = async (seconds: number, copying: boolean) => {
    for (let i = 0; i < seconds; i++) {
      const { rowsPerSecond } = pace.now()
      const rows = copying ? Math.min(possible, rowsPerSecond) : 0
      measured.push({ at: second, p99: usual(second) * (rows === 0 ? 1 : suffers(rows, second)) })
      second += 1
      if (!copying) continue
      pace.passed(rows)
      await pace.look(latencies)
      paces.push(pace.now().rowsPerSecond)
      if (pace.now().rowsPerSecond === 0) rested.push(second)
    }
  }
  return { pass, pace, paces, rested }
}

const lastOf = (paces: readonly number[]) => paces.slice(-60).filter((rows) => rows > 0)

it('goes up as long as nobody suffers, and stays where the p99 comes to its limit', async () => {
  const { pass, paces } = together({ suffers: (rows) => 1 + rows / 200_000 })
  await pass(12, false)
  await pass(240, true)
  // 1.3 times is at 60,000 rows a second.
  const highest = Math.max(...lastOf(paces))
  const lowest = Math.min(...lastOf(paces))
  expect(highest).toBeLessThan(80_000)
  expect(lowest).toBeGreaterThan(20_000)
})

it('goes down until nobody suffers', async () => {
  const { pass, paces } = together({ suffers: (rows) => 1 + rows / 10_000 })
  await pass(12, false)
  await pass(240, true)
  const settled = lastOf(paces)
  expect(settled.reduce((sum, rows) => sum + rows, 0) / settled.length).toBeLessThan(3_000)
})

it('does not go beyond what was tried, so that it can come down again at once', async () => {
  const { pass, paces } = together({
    suffers: (_, second) => (second < 200 ? 1 : 3),
    possible: 50_000,
  })
  await pass(12, false)
  await pass(180, true)
  expect(Math.max(...paces)).toBeLessThanOrEqual(160_000)
  const high = paces.at(-1)
  await pass(30, true)
  expect(paces.slice(-30).find((rows) => rows !== high)).toBeLessThan(25_000)
})

it('judges a pace by what was measured at it alone', async () => {
  const { pass, paces } = together({ suffers: (rows) => (rows > 30_000 ? 3 : 1) })
  await pass(12, false)
  await pass(120, true)
  // One step down from there is enough.
  expect(Math.max(...paces)).toBe(30_000 * 1.5)
  expect(Math.min(...paces.filter((rows) => rows > 0))).toBeGreaterThan(10_000)
})

it('takes no few seconds for the truth: it stays at a pace until it has seen more', async () => {
  const { pass, paces } = together({ suffers: () => 1 })
  await pass(12, false)
  await pass(60, true)
  const changes = paces.flatMap((rows, i) => (rows === paces[i - 1] ? [] : [i]))
  // What went before the first of them was longer than the copy.
  const lasted = changes.slice(2).map((at, i) => at - (changes[i + 1] ?? 0))
  expect(lasted.length).toBeGreaterThan(2)
  expect(Math.min(...lasted)).toBeGreaterThanOrEqual(8)
})

it('rests to learn what the application takes by itself, where that has changed', async () => {
  const { pass, paces, rested } = together({
    suffers: (rows) => 1 + rows / 200_000,
    usual: (second) => (second < 60 ? 10 : 30),
  })
  await pass(12, false)
  await pass(400, true)
  expect(rested.length).toBeGreaterThan(0)
  expect(Math.max(...lastOf(paces))).toBeGreaterThan(20_000)
  // By large steps again, not by those of 15 %.
  const after = paces.slice(paces.lastIndexOf(0) + 1).filter((rows, i, all) => rows !== all[i - 1])
  expect((after[1] ?? 0) / (after[0] ?? 1)).toBeCloseTo(1.5, 1)
})

it('finds out that it began in a bad moment of the application', async () => {
  const { pass, paces } = together({
    suffers: (rows) => 1 + rows / 50_000,
    usual: (second) => (second < 14 ? 100 : 10),
  })
  await pass(12, false)
  await pass(240, true)
  // 1.3 times is at 15,000 rows a second.
  expect(Math.max(...lastOf(paces))).toBeLessThan(30_000)
})

it('rests first where nothing was measured before it began, and learns of the rest alone', async () => {
  const { pass, rested, paces } = together({ suffers: (rows) => 1 + rows / 20_000 })
  await pass(120, true)
  expect(rested.length).toBeGreaterThan(0)
  // 1.3 times is at 6,000 rows a second.
  expect(Math.max(...lastOf(paces))).toBeLessThan(12_000)
})

it('goes by no p99 of a handful of operations, but more slowly up than where it knows', async () => {
  const few = together({ suffers: () => 50, operationsPerSecond: 2 })
  await few.pass(12, false)
  await few.pass(60, true)
  const many = together({ suffers: () => 1 })
  await many.pass(12, false)
  await many.pass(60, true)
  const [slowly, quickly] = [Math.max(...few.paces), Math.max(...many.paces)]
  expect(slowly).toBeGreaterThan(20_000)
  expect(slowly).toBeLessThan(quickly)
})

it('says what it goes by', async () => {
  const { pass, pace } = together({ suffers: (rows) => 1 + rows / 10_000 })
  await pass(12, false)
  await pass(10, true)
  expect(pace.now().because).toMatch(/^the application's reads of old: p99 \d+ms, \d\.\d\d times 10ms/)
})

it('cuts statements so that they take a tenth of a second, rests included', () => {
  expect(mostRows(200)).toBe(SHORTEST_CHUNK)
  expect(mostRows(100_000)).toBe(10_000)
  for (const rowsPerSecond of [500, 5_000, 20_000, 100_000]) {
    const { rows, ms } = restsAt(rowsPerSecond)
    expect(rows).toBeLessThanOrEqual(mostRows(rowsPerSecond))
    // PostgreSQL sleeps for whole milliseconds: shorter rests would be longer than they are meant to be.
    expect(ms).toBeGreaterThanOrEqual(2)
    expect((rows / rowsPerSecond) * 1000 * 0.8).toBeCloseTo(ms, 6)
  }
})
