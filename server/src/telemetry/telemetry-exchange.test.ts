import { LATENCY_BUCKETS_MS, type Measurement } from '@switchback/migrations-registry'
import { redisServer, type TestStore, testStore, waitFor } from '@switchback/test/support'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connectRedisTelemetry } from './redis-telemetry.ts'
import { createTelemetryExchange, type TelemetryExchange } from './telemetry-exchange.ts'

const redis = await redisServer()
afterAll(() => redis?.stop())

let store: TestStore
let running: TelemetryExchange[]
beforeEach(async () => {
  store = await testStore()
  running = []
})
afterEach(async () => {
  for (const each of running) await each.stop()
  await store.drop()
})

const measured = (count: number, errors = 0): Measurement => ({
  migration: 'm',
  epoch: 1,
  path: 'new',
  operation: 'read',
  count,
  errors: errors === 0 ? {} : { E: errors },
  latency: new Array<number>(LATENCY_BUCKETS_MS.length + 1).fill(0),
  mismatches: 0,
  compared: 0,
  secondaryFailures: 0,
})

/** One server, and what it has heard of in all. */
function server(name: string, redisUrl?: string, everyMs = 20) {
  const heard = { count: 0, errors: 0, faults: [] as unknown[] }
  const exchange = createTelemetryExchange({
    db: store.open(),
    clock: Date.now,
    server: name,
    everyMs,
    reach: () => 60_000,
    onMeasurements: (measurements) => {
      for (const { count, errors } of measurements) {
        heard.count += count
        heard.errors += errors.E ?? 0
      }
    },
    onFault: (error) => heard.faults.push(error),
    ...(redisUrl === undefined ? {} : { quick: (onChunk) => connectRedisTelemetry(redisUrl, onChunk) }),
  })
  running.push(exchange)
  return { exchange, heard }
}
const tell = ({ exchange }: ReturnType<typeof server>, count: number, errors = 0) =>
  exchange.record({ measurements: [measured(count, errors)], dropped: 0 })

describe.each([
  ['by the store alone', undefined],
  ['by Redis and the store', redis?.url],
])('two servers, %s', (name, url) => {
  it.skipIf(name !== 'by the store alone' && url === undefined)(
    'each hear of everything once, and a third that starts later reads what was before it',
    async () => {
      const [first, second] = [server('one', url), server('two', url)]
      await Promise.all([first.exchange.start(), second.exchange.start()])
      for (let i = 0; i < 10; i++) {
        tell(first, 3, 1)
        tell(second, 4)
        await waitFor(() => first.heard.count >= (i + 1) * 7 && second.heard.count >= (i + 1) * 7)
      }
      const third = server('three', url)
      await third.exchange.start()
      for (const { heard } of [first, second, third])
        expect(heard).toEqual({ count: 70, errors: 10, faults: [] })
      // Whatever else comes by the other way is known already.
      tell(first, 1)
      await waitFor(() => third.heard.count === 71 && second.heard.count === 71)
    },
  )
})

describe.skipIf(redis === undefined)('with Redis', () => {
  it('chunks arrive long before the store is asked', async () => {
    const [first, second] = [server('one', redis?.url, 600_000), server('two', redis?.url, 600_000)]
    await Promise.all([first.exchange.start(), second.exchange.start()])
    // Subscribing takes a moment, and what is published before it comes by the store.
    await waitFor(() => {
      tell(first, 1)
      return second.heard.count > 0
    })
    expect(second.heard.count).toBeLessThanOrEqual(first.heard.count)
  })

  it('that cannot be reached loses nothing', async () => {
    const [first, second] = [server('one', 'redis://127.0.0.1:1'), server('two', 'redis://127.0.0.1:1')]
    await Promise.all([first.exchange.start(), second.exchange.start()])
    tell(first, 5)
    await waitFor(() => second.heard.count === 5)
  })
})

it('passes on what is left when it stops, and forgets what is of no more use', async () => {
  await store.db.query(
    `insert into telemetry (server, at, chunks) values ('gone', now() - interval '2 minutes', '[]')`,
  )
  const first = server('one', undefined, 600_000)
  await first.exchange.start()
  tell(first, 5)
  await first.exchange.stop()
  const { rows } = await store.db.query<{ server: string; count: number }>(
    `select server, (chunks -> 0 -> 'measurements' -> 0 ->> 'count')::int as count from telemetry`,
  )
  expect(rows).toEqual([{ server: 'one', count: 5 }])
})
