import { type TestDatabase, testDatabase, waitFor } from '@switchback/test/support'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createTarget, type Target } from '../target/target.ts'
import { replicasSettled } from './replicas.ts'

let database: TestDatabase
let pool: pg.Pool
let target: Target

beforeEach(async () => {
  database = await testDatabase()
  pool = database.pool
  target = createTarget({ url: database.url, name: 'test', onIdleError: () => undefined })
})
afterEach(async () => {
  await target.end()
  await database.drop()
})

test('work waits until replicas have caught up', async () => {
  const replica = new pg.Client({
    connectionString: database.url,
    application_name: 'standby-1',
    // Not in the types: the driver passes it on.
    ...{ replication: 'true' },
  })
  replica.on('error', () => undefined)
  await replica.connect()
  const wal = async (): Promise<bigint> =>
    BigInt((await pool.query(`select pg_current_wal_insert_lsn() - '0/0' as bytes`)).rows[0].bytes)
  const start = (await pool.query('select pg_current_wal_flush_lsn() as lsn')).rows[0].lsn
  const { connection } = replica as unknown as {
    connection: { once(event: string, done: () => void): void; sendCopyFromChunk(chunk: Buffer): void }
  }
  const streaming = new Promise<void>((done) => connection.once('replicationStart', done))
  replica.query(`START_REPLICATION PHYSICAL ${start}`).catch(() => undefined)
  await streaming
  const answer = (position: bigint, ageMs = 0) => {
    const status = Buffer.alloc(34)
    status.write('r')
    // Microseconds since 2000. Without its time an answer would look as young as its sender's round trip.
    status.writeBigInt64BE(BigInt(Date.now() - ageMs - Date.UTC(2000, 0, 1)) * 1000n, 25)
    for (const at of [1, 9, 17]) status.writeBigInt64BE(position, at)
    connection.sendCopyFromChunk(status)
  }
  try {
    // Far behind, whatever is written meanwhile.
    answer(1n, 60_000)
    await waitFor(
      async () =>
        (
          await pool.query(
            `select from pg_stat_replication where replay_lsn is not null and application_name = 'standby-1'`,
          )
        ).rowCount === 1,
    )
    const told: string[] = []
    let done = false
    const settled = replicasSettled(target, 1, new AbortController().signal, (text) =>
      told.push(text),
    ).finally(() => {
      done = true
    })
    await waitFor(() => told.length > 0 || done)
    expect(told[0]).toMatch(/^replica standby-1 is .* behind$/)
    expect(done).toBe(false)
    // Others write on this server too: it has to go on keeping up.
    while (!done) answer(await wal())
    await settled
  } finally {
    // Ends the sender: a client that asks it to end politely would wait for it.
    await pool.query(
      `select pg_terminate_backend(pid) from pg_stat_replication where application_name = 'standby-1'`,
    )
  }
})
