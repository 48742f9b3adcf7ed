import { fileURLToPath } from 'node:url'
import { type ConnectOptions, connect, pgTransaction, type Switchback } from '@switchback/sdk'
import { beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { spawnNode, type TestDatabase } from '../support/index.ts'
import { configOf, fencedTarget, raise, readNew, readOld, saveNew, saveOld, tables } from './target.ts'
import { startWireServer, TOKEN, type WireServer } from './wire-server.ts'

const fenced = { fenced: true }

describe('a client on a real target', () => {
  let db: TestDatabase
  let server: WireServer
  let client: Switchback
  const options = (): ConnectOptions => ({
    url: server.url,
    token: TOKEN,
    app: 'rides-api',
    version: '1',
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  })
  beforeEach(async () => {
    db = await fencedTarget()
    server = await startWireServer({
      revision: 1,
      migrations: [configOf(4, 'old', 'old', fenced)],
      flags: [],
    })
    client = await connect(options())
    return async () => {
      await client.close()
      await server.stop()
      await db.drop()
    }
  })
  const declare = (of: Switchback) => {
    const target = pgTransaction(db.pool)
    const profiles = of.migration('user-profiles', {
      key: (userId: string) => userId,
      transaction: target,
      read: { old: readOld, new: readNew },
      write: { old: saveOld, new: saveNew },
    })
    return { target, profiles }
  }

  it('writes under the newest epoch after the target has refused the one it was not told had passed', async () => {
    const { profiles } = declare(client)
    await client.ready()
    server.set(configOf(5, 'dual-old', 'old', fenced), { lose: true })
    await raise(db.pool, 5)
    await profiles.write('a', 'x')
    expect(await tables(db.pool)).toEqual({ old: { a: 'x' }, new: { a: 'x' } })
    expect(client.status().positions['user-profiles']).toEqual({ applied: 5, drained: 5 })
  })

  it('tells the server that it writes through the fence, and drains a transaction with its end', async () => {
    const { target, profiles } = declare(client)
    await client.ready()
    expect(server.received.registrations.at(-1)?.migrations).toMatchObject({
      'user-profiles': { fenced: true },
    })
    const result = await client.transaction(target, async (transaction) => {
      await profiles.in(transaction).write('a', 'x')
      const { rows } = await transaction.db.query<{ n: number }>('select count(*)::int as n from users')
      expect(client.status().positions['user-profiles']?.oldest?.kind).toBe('transaction')
      return rows[0]?.n
    })
    expect(result).toBe(1)
    expect(client.status().positions['user-profiles']?.oldest).toBeUndefined()
  })

  it('keeps the types of keys, arguments and results', async () => {
    const { profiles } = declare(client)
    expectTypeOf(profiles.read).parameters.toEqualTypeOf<[key: string]>()
    expectTypeOf(profiles.read).returns.resolves.toEqualTypeOf<string | undefined>()
    expectTypeOf(profiles.write).parameters.toEqualTypeOf<[key: string, bio: string]>()
    const rides = client.migration('rides', {
      key: ({ city, id }: { city: string; id: number }) => [city, id],
      transaction: pgTransaction(db.pool),
      read: {
        old: (_ride, tx) => tx.query<{ fare: number }>('select 1 as fare'),
        new: (_ride, tx) => tx.query<{ fare: number }>('select 1 as fare'),
      },
      write: {
        old: (ride, tx, fare: number) => tx.query('select $1::int, $2::int', [ride.id, fare]),
        new: (ride, tx, fare: number) => tx.query('select $1::int, $2::int', [ride.id, fare]),
      },
    })
    expectTypeOf(rides.write).parameters.toEqualTypeOf<[key: { city: string; id: number }, fare: number]>()
    expect((await rides.read({ city: 'Dhaka', id: 1 })).rows[0]?.fare).toBe(1)
  })
})

describe('a process', () => {
  it('ends by itself while its client is connected', async () => {
    const server = await startWireServer({ revision: 1, migrations: [], flags: [] })
    // A process of its own has the build, not the sources.
    const script = `
      import { connect } from '@switchback/sdk'
      const [url, token] = process.argv.slice(1)
      const client = await connect({ url, token, app: 'job', version: '1' })
      console.log(client.status().registered)
    `
    const child = spawnNode(['--input-type=module', '-e', script, server.url, TOKEN], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
    })
    expect(await child.exited).toMatchObject({ code: 0 })
    expect(child.stdout()).toBe('true\n')
    await server.stop()
  })
})
