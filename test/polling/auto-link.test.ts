import type { Clock } from '@switchback/sdk'
import { createLink, type Link } from '@switchback/sdk/parts'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freePort, waitFor } from '../support/index.ts'
import { type RecordingProxy, startProxy } from './recording-proxy.ts'

/** Time that stands still: what is waited for comes when the test says so. */
function standingClock() {
  let now = 0
  let asked = 0
  const pending = new Set<{ readonly at: number; readonly task: () => void }>()
  const clock: Clock = {
    now: () => now,
    after: (ms, task) => {
      const timer = { at: now + ms, task }
      asked++
      pending.add(timer)
      return () => pending.delete(timer)
    },
  }
  const next = () => [...pending].sort((a, b) => a.at - b.at)[0]
  return {
    clock,
    /** How long the earliest of what is waited for is away. */
    get waits() {
      return (next()?.at ?? Number.NaN) - now
    },
    get pending() {
      return pending.size
    },
    /** Timers so far: the wait before each attempt, and the time limit of each request. */
    get asked() {
      return asked
    },
    advance: () => {
      const timer = next()
      if (timer === undefined) throw new Error('nothing is waited for')
      pending.delete(timer)
      now = timer.at
      timer.task()
    },
  }
}

let proxy: RecordingProxy
let time: ReturnType<typeof standingClock>
let link: Link
let failed: string[]

beforeEach(async () => {
  // Nothing of what is tested here gets as far as to a server.
  proxy = await startProxy(`http://127.0.0.1:${await freePort()}`)
  time = standingClock()
  failed = []
})
afterEach(async () => {
  link.close()
  await proxy.stop()
})

const open = (): void => {
  link = createLink({
    url: proxy.url,
    token: 'any',
    transport: 'auto',
    clock: time.clock,
    random: () => 0.5,
  })
  link.open({
    connected: () => undefined,
    disconnected: () => undefined,
    failed: ({ message }) => failed.push(message),
    change: () => undefined,
    dismissed: () => undefined,
  })
}
const polls = () => proxy.seen.length

/** Waits for the end of one attempt after the other; time goes on only in between. */
async function attempts(count: number): Promise<number[]> {
  const waits: number[] = []
  for (let attempt = 1; attempt <= count; attempt++) {
    if (attempt > 1) time.advance()
    await waitFor(() => failed.length === attempt, { what: `the end of attempt ${attempt}` })
    expect(time.pending).toBe(1)
    waits.push(time.waits)
  }
  return waits
}

describe('an instance that finds out how to reach the server', () => {
  it('asks nobody else while nobody listens, and ever less often', async () => {
    await proxy.stop()
    open()
    expect(await attempts(8)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000])
    for (const message of failed) expect(message).toContain('ECONNREFUSED')
    expect(time.asked).toBe(8)
    proxy.serverIsThere = false
    await proxy.start()
    time.advance()
    await waitFor(() => failed.length === 9)
    expect(proxy.upgrades).toBe(1)
    expect(polls()).toBe(0)
  })

  it('asks once each time where a proxy says that nobody is behind it', async () => {
    proxy.serverIsThere = false
    open()
    await attempts(5)
    expect(proxy.upgrades).toBe(5)
    expect(polls()).toBe(0)
  })

  it('asks twice each time where websockets are refused as well: there might be another way', async () => {
    proxy.serverIsThere = false
    proxy.websockets = false
    open()
    await attempts(5)
    expect(proxy.upgrades).toBe(5)
    expect(polls()).toBe(5)
  })
})
