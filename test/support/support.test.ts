import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { type DatabaseTemplate, redisServer, spawnNode, testDatabase, waitFor } from './index.ts'

const template: DatabaseTemplate = {
  name: 'support_test',
  fill: async (pool) => void (await pool.query('create table things as select generate_series(1, 3) as n')),
}
const redis = await redisServer()
afterAll(() => redis?.stop())

test('databases cloned from one template are apart from each other', async () => {
  const [one, two] = await Promise.all([testDatabase(template), testDatabase(template)])
  await one.pool.query('delete from things')
  expect((await two.pool.query('select count(*)::int as n from things')).rows).toEqual([{ n: 3 }])
  await Promise.all([one.drop(), two.drop()])
})

test('a dropped database is gone', async () => {
  const database = await testDatabase()
  await database.drop()
  const other = await testDatabase()
  const { rows } = await other.pool.query('select 1 from pg_database where datname = $1', [
    new URL(database.url).pathname.slice(1),
  ])
  expect(rows).toEqual([])
  await other.drop()
})

describe.skipIf(!redis)('Redis', () => {
  test('answers, and comes back on its port after a stop', async () => {
    const client = new Redis(redis?.url ?? '', { lazyConnect: true, retryStrategy: () => 20 })
    client.on('error', () => undefined)
    await client.connect()
    expect(await client.ping()).toBe('PONG')
    await redis?.stop()
    await waitFor(() => client.status !== 'ready')
    await redis?.start()
    await waitFor(() => client.status === 'ready')
    expect(await client.ping()).toBe('PONG')
    client.disconnect()
  })
})

test('what waits in vain says for what, and why the last look failed', async () => {
  const looking = waitFor(() => Promise.reject(new Error('not found')), { what: 'the moon', timeoutMs: 30 })
  await expect(looking).rejects.toMatchObject({
    message: 'waited 30 ms in vain for the moon',
    cause: { message: 'not found' },
  })
})

test('a process that ends early is told from one that is slow', async () => {
  const child = spawnNode(['-e', 'console.log("hello"); process.exit(3)'])
  await expect(child.sees(/world/)).rejects.toThrow(/ended before it wrote .*\n?hello/)
  expect(await child.exited).toEqual({ code: 3, signal: null })
})

test('a spawned process dies with the one that spawned it', async () => {
  const support = new URL('../dist/support/spawn-node.js', import.meta.url).href
  const program = `
    const { spawnNode } = await import(${JSON.stringify(support)})
    console.log('child', spawnNode(['-e', 'setInterval(() => {}, 1000)']).pid)
    setInterval(() => {}, 1000)`
  const parent = spawnNode(['--input-type=module', '-e', program])
  const [, pid] = await parent.sees(/child (\d+)/)
  await parent.kill('SIGKILL')
  await waitFor(() => !isAlive(Number(pid)), { what: 'the grandchild to end' })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
