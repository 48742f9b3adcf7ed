import { redisServer, testStore, waitFor } from '@switchback/test/support'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { Queryable } from '../db/db.ts'
import { createRevisions, type RevisionsOptions } from './create-revisions.ts'
import type { Revisions } from './revisions.ts'

const redis = await redisServer()
const store = await testStore()
const { db } = store
const running: Revisions[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((revisions) => revisions.stop()))
})
afterAll(async () => {
  await redis?.stop()
  await store.drop()
})

async function server(options: Partial<RevisionsOptions> = {}) {
  const messages: string[] = []
  const log = {
    info: (_: object, message: string) => messages.push(message),
    warn: (_: object, message: string) => messages.push(message),
  }
  const revisions = await createRevisions({ db, log, ...options })
  running.push(revisions)
  const heard: number[] = []
  revisions.onRevision((revision) => heard.push(revision))
  return { revisions, heard, messages }
}

const commit = async (): Promise<number> =>
  (await db.query<{ revision: number }>('update head set revision = revision + 1 returning revision')).rows[0]
    ?.revision ?? 0

const NEVER = 3_600_000

describe('one server', () => {
  test('knows the present revision from the start', async () => {
    const now = await commit()
    expect((await server({ pollMs: NEVER })).revisions.current).toBe(now)
  })

  test('tells its own changes at once, in order, and never goes back', async () => {
    const { revisions, heard } = await server({ pollMs: NEVER })
    const start = revisions.current
    revisions.announce(start + 2)
    revisions.announce(start + 1)
    revisions.announce(start + 2)
    expect(heard).toEqual([start + 2])
    expect(revisions.current).toBe(start + 2)
  })

  test('a listener that throws keeps nobody else from hearing', async () => {
    const { revisions } = await server({ pollMs: NEVER })
    const heard: number[] = []
    revisions.onRevision(() => {
      throw new Error('no')
    })
    revisions.onRevision((revision) => heard.push(revision))
    revisions.announce(revisions.current + 1)
    expect(heard).toHaveLength(1)
  })

  test('a store that is away for a while is complained of once, and what was missed is found', async () => {
    let away = false
    const shaky: Queryable = {
      query: (text, params) => (away ? Promise.reject(new Error('away')) : db.query(text, params)),
    }
    let looks = 0
    const counted: Queryable = {
      query: (text, params) => {
        looks++
        return shaky.query(text, params)
      },
    }
    const { heard, messages } = await server({ db: counted, pollMs: 1 })
    away = true
    const before = looks
    await waitFor(() => looks > before + 20)
    const revision = await commit()
    away = false
    await waitFor(() => heard.at(-1) === revision)
    await waitFor(() => messages.length === 2)
    expect(messages).toEqual(['the store cannot be asked for its revision', 'the store answers again'])
  })
})

test('two servers without Redis find out by asking the store', async () => {
  const [one, two] = [await server({ pollMs: 10 }), await server({ pollMs: 10 })]
  const revision = await commit()
  one.revisions.announce(revision)
  await waitFor(() => two.heard.at(-1) === revision)
})

describe.skipIf(!redis)('two servers with Redis', () => {
  const redisUrl = redis?.url ?? ''
  const carried = 'Redis carries the news of changes'

  test('hear of each other without asking the store in between', async () => {
    const [one, two] = [await server({ redisUrl, pollMs: NEVER }), await server({ redisUrl, pollMs: NEVER })]
    await waitFor(() => one.messages.includes(carried) && two.messages.includes(carried))
    for (let i = 0; i < 20; i++) {
      const revision = await commit()
      const [from, to] = i % 2 === 0 ? [one, two] : [two, one]
      from.revisions.announce(revision)
      await waitFor(() => to.heard.at(-1) === revision)
    }
    expect(two.heard).toEqual([...two.heard].sort((a, b) => a - b))
  })

  test('lose nothing when Redis is killed in between, and say so once', async () => {
    const [one, two] = [await server({ redisUrl }), await server({ redisUrl })]
    await waitFor(() => one.messages.includes(carried) && two.messages.includes(carried))
    await redis?.stop()
    await waitFor(() => two.messages.length === 2)
    const away = await commit()
    one.revisions.announce(away)
    await waitFor(() => two.heard.at(-1) === away)
    await redis?.start()
    await waitFor(() => one.messages.length === 3 && two.messages.length === 3)
    expect(two.messages).toEqual([
      carried,
      'Redis is away; changes made elsewhere are found by asking the store',
      carried,
    ])
    const back = await commit()
    one.revisions.announce(back)
    await waitFor(() => two.heard.at(-1) === back)
  })

  test('a change that was announced while Redis was away is found as soon as it is back', async () => {
    await redis?.stop()
    const two = await server({ redisUrl, pollMs: NEVER })
    const revision = await commit()
    await redis?.start()
    await waitFor(() => two.heard.at(-1) === revision)
  })

  test('a bogus number on the channel is not believed', async () => {
    const { Redis } = await import('ioredis')
    const one = await server({ redisUrl, pollMs: NEVER })
    await waitFor(() => one.messages.includes(carried))
    const before = one.revisions.current
    const publisher = new Redis(redisUrl)
    await publisher.publish('switchback:revision', String(before + 1_000_000))
    await publisher.publish('switchback:revision', 'nonsense')
    publisher.disconnect()
    const revision = await commit()
    one.revisions.announce(revision)
    expect(one.heard).toEqual([revision])
  })
})
