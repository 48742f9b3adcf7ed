import { describe, expect, test } from 'vitest'
import { Network, type NetworkOptions, QUIET } from './network.ts'
import { World } from './world.ts'

const ROUGH: NetworkOptions = {
  delay: [1, 5],
  slowChance: 0.3,
  slow: [5, 50],
  loss: 0.2,
  duplication: 0.2,
  notice: [1, 20],
}

describe('a world', () => {
  test('brings all code to rest between two events', async () => {
    const world = new World({ seed: 1 })
    const log: string[] = []
    const deep = async (levels: number): Promise<void> => {
      if (levels > 0) await deep(levels - 1)
    }
    const process = world.process('p')
    void (async () => {
      await process.delay(1)
      for (let i = 0; i < 50; i++) await deep(10)
      log.push('first is done')
    })()
    process.at(1.5, () => log.push('second event'))
    await world.run({ afterEach: () => log.push('at rest') })
    expect(log).toEqual(['first is done', 'at rest', 'second event', 'at rest'])
  })

  test('takes what is due at once in an order of the seed', async () => {
    const orders = new Set<string>()
    for (let seed = 1; seed <= 40; seed++) {
      const world = new World({ seed })
      const order: number[] = []
      for (const i of [1, 2, 3]) world.at(1, () => order.push(i))
      await world.run()
      orders.add(order.join())
    }
    expect(orders.size).toBe(6)
  })

  test('ends with what a step or a check throws, and says where it stands', async () => {
    const world = new World({ seed: 1 })
    world.at(1, () => {})
    world.at(2, () => {
      throw new Error('broken')
    })
    world.at(3, () => {})
    await expect(world.run()).rejects.toThrow('broken')
    expect(world.steps).toBe(2)
    const other = new World({ seed: 1 })
    other.at(1, () => {})
    const check = () => {
      throw new Error('violated')
    }
    await expect(other.run({ afterEach: check })).rejects.toThrow('violated')
  })

  test('stops at a time or a number of steps, and goes on from there', async () => {
    const world = new World({ seed: 1 })
    const log: number[] = []
    for (const at of [1, 2, 3, 4]) world.at(at, () => log.push(at))
    await world.run({ until: 2.5 })
    expect([world.now, ...log]).toEqual([2.5, 1, 2])
    await world.run({ maxEvents: 1 })
    expect(log).toEqual([1, 2, 3])
    await world.run()
    expect(log).toEqual([1, 2, 3, 4])
  })
})

describe('a process', () => {
  test('runs nothing of an incarnation that has crashed, and nothing meant for nobody', async () => {
    const world = new World({ seed: 1 })
    const process = world.process('p')
    const log: string[] = []
    const main = (name: string) => async () => {
      await process.delay(10)
      log.push(name)
    }
    void main('first')()
    world.at(5, () => process.crash())
    world.at(6, () => process.at(10, () => log.push('meant for nobody')))
    world.at(7, () => process.restart(() => void main('second')()))
    await world.run()
    expect(log).toEqual(['second'])
  })

  test('takes nothing while it is stopped, and everything in order afterwards', async () => {
    const world = new World({ seed: 3 })
    const process = world.process('p')
    const log: string[] = []
    for (const at of [1, 2, 3, 4]) process.at(at, () => log.push(`${at} at ${world.now}`))
    world.at(1.5, () => process.stop())
    world.at(10, () => process.cont())
    await world.run()
    expect(log).toEqual(['1 at 1', '2 at 10', '3 at 10', '4 at 10'])
  })

  test('can be called out of a delay, and ends its interval', async () => {
    const world = new World({ seed: 1 })
    const process = world.process('p')
    const abort = new AbortController()
    const log: number[] = []
    void process.delay(100, abort.signal).then(() => log.push(world.now))
    const end = process.every(10, () => {
      log.push(world.now)
      if (world.now >= 30) end()
    })
    world.at(25, () => abort.abort())
    await world.run()
    expect(log).toEqual([10, 20, 25, 30])
  })
})

describe('a network', () => {
  test('delivers on a channel once and in order, through a partition too', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const world = new World({ seed })
      const network = new Network(world, ROUGH)
      const [a, b] = [world.process('a'), world.process('b')]
      const channel = network.open(a, b)
      const got: number[] = []
      for (let i = 0; i < 20; i++) {
        world.at(i, () =>
          channel.toServer(
            () => `${i}`,
            () => got.push(i),
          ),
        )
      }
      world.at(8, () => network.part(a, b))
      world.at(14, () => network.heal(a, b))
      await world.run()
      expect(got).toEqual(Array.from({ length: 20 }, (_, i) => i))
    }
  })

  test('loses what is under way when a channel breaks, and tells both ends', async () => {
    const world = new World({ seed: 1 })
    const network = new Network(world, { ...QUIET, delay: [5, 5], notice: [1, 1] })
    const [a, b] = [world.process('a'), world.process('b')]
    const channel = network.open(a, b)
    const log: string[] = []
    channel.onClientClosed = () => log.push('client told')
    channel.onServerClosed = () => log.push('server told')
    channel.toServer(
      () => 'hello',
      () => log.push('delivered'),
    )
    world.at(2, () => channel.break())
    await world.run()
    expect(log.sort()).toEqual(['client told', 'server told'])
  })

  test('delivers what a dead process had sent, then its end', async () => {
    const world = new World({ seed: 1 })
    const network = new Network(world, { ...QUIET, delay: [5, 5], notice: [1, 1] })
    const [a, b] = [world.process('a'), world.process('b')]
    const channel = network.open(a, b)
    const log: string[] = []
    channel.onServerClosed = () => log.push('end')
    channel.toServer(
      () => 'last words',
      () => log.push('last words'),
    )
    a.crash()
    await world.run()
    expect(log).toEqual(['last words', 'end'])
  })

  test('loses, doubles and reorders single messages', async () => {
    const seen = { lost: false, doubled: false, reordered: false }
    for (let seed = 1; seed <= 20; seed++) {
      const world = new World({ seed })
      const network = new Network(world, ROUGH)
      const [a, b] = [world.process('a'), world.process('b')]
      const got: number[] = []
      for (let i = 0; i < 10; i++) {
        network.send(
          a,
          b,
          () => `${i}`,
          () => got.push(i),
        )
      }
      await world.run()
      const once = new Set(got)
      seen.lost ||= once.size < 10
      seen.doubled ||= got.length > once.size
      seen.reordered ||= [...once].some((value, i, all) => value < (all[i - 1] ?? -1))
    }
    expect(seen).toEqual({ lost: true, doubled: true, reordered: true })
  })
})
