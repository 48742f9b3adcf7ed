import { describe, expect, test } from 'vitest'
import { Database } from '../database/database.ts'
import { table } from '../database/relation.ts'
import { Session } from '../database/session.ts'
import { Network } from '../world/network.ts'
import { World } from '../world/world.ts'

const ROWS = table<string>('rows')

function setUp(seed: number) {
  const world = new World({ seed })
  const network = new Network(world, {
    delay: [1, 2],
    slowChance: 0,
    slow: [0, 0],
    loss: 0,
    duplication: 0,
    notice: [10, 20],
  })
  const db = new Database(world.process('db'), { work: [0, 0.1], deadlockTimeout: [1000, 1000] })
  const connect = (name: string) => {
    const process = world.process(name)
    return { process, session: new Session(network, process, db) }
  }
  return { world, network, db, connect }
}

/** How a promise ended, once nothing moves any more. */
function outcomeOf(work: Promise<unknown>): { told: string } {
  const outcome = { told: 'open' }
  work.then(
    (value) => {
      outcome.told = String(value)
    },
    (error: { code?: string }) => {
      outcome.told = `error ${error.code}`
    },
  )
  return outcome
}

describe('connections to the simulated database', () => {
  test('a client that dies holds its locks until the server notices', async () => {
    const { world, connect, db } = setUp(1)
    const a = connect('a')
    const b = connect('b')
    outcomeOf(a.session.begin('read committed'))
    outcomeOf(a.session.insert(ROWS, 'k', 'a'))
    world.at(10, () => a.process.crash())
    let done = 0
    world.at(11, () => {
      void b.session.insert(ROWS, 'k', 'b').then(() => {
        done = world.now
      })
    })
    await world.run()
    expect(done).toBeGreaterThan(20)
    expect([...db.committed(ROWS)]).toEqual([['k', 'b']])
  })

  test('a commit that the network cuts off is applied or not, and its client cannot tell', async () => {
    const ends = new Set<string>()
    for (let seed = 1; seed <= 60; seed++) {
      const { world, network, connect, db } = setUp(seed)
      const a = connect('a')
      outcomeOf(a.session.begin('read committed'))
      outcomeOf(a.session.insert(ROWS, 'k', 'a'))
      const commit = outcomeOf(a.session.commit())
      world.at(world.random.between(0, 6), () => network.cut(a.process, db.process))
      await world.run()
      ends.add(`${commit.told}, ${db.committed(ROWS).size} rows`)
    }
    expect([...ends].sort()).toEqual(['committed, 1 rows', 'error 08006, 0 rows', 'error 08006, 1 rows'])
  })

  test('a crash of the server undoes what was open and keeps what was committed', async () => {
    const { world, network, connect, db } = setUp(1)
    const a = connect('a')
    const b = connect('b')
    outcomeOf(a.session.insert(ROWS, 'k1', 'a'))
    outcomeOf(b.session.begin('read committed'))
    outcomeOf(b.session.insert(ROWS, 'k2', 'b'))
    outcomeOf(b.session.lock('L', 'exclusive', { of: 'session' }))
    await world.run()
    const waits = outcomeOf(a.session.lock('L', 'exclusive'))
    await world.run({ until: world.now + 5 })
    expect(waits.told).toBe('open')
    db.crash()
    const refused = outcomeOf(new Session(network, a.process, db).get(ROWS, 'k1'))
    await world.run()
    db.restart()
    await world.run()
    expect([waits.told, refused.told]).toEqual(['error 08006', 'error 08006'])
    const again = new Session(network, a.process, db)
    const got = outcomeOf(again.tryLock('L', 'exclusive'))
    const rows = outcomeOf(again.scan(ROWS))
    await world.run()
    expect([got.told, rows.told]).toEqual(['true', 'k1,a'])
  })

  test('a client that is stopped keeps its transaction open and goes on with it', async () => {
    const { world, connect, db } = setUp(1)
    const a = connect('a')
    void (async () => {
      await a.session.begin('read committed')
      await a.session.insert(ROWS, 'k', 'a')
      await a.session.commit()
    })()
    world.at(4, () => a.process.stop())
    await world.run({ until: 500 })
    expect(db.committed(ROWS).size).toBe(0)
    a.process.cont()
    await world.run()
    expect(db.committed(ROWS).size).toBe(1)
  })
})
