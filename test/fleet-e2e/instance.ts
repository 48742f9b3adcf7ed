/** An application instance as a process of its own, which can be stopped in the middle of a write. */
import { connect, type PgClient, pgTransaction } from '@switchback/sdk'
import pg from 'pg'
import type { FromInstance, HoldAt, InstanceSettings, ToInstance } from './messages.ts'

const settings = JSON.parse(process.env.INSTANCE ?? '{}') as InstanceSettings
const send = (message: FromInstance): void => void process.send?.(message)

let holdAt: HoldAt | undefined
let go: () => void = () => undefined
let refusals: string[] = []

async function hold(at: HoldAt): Promise<void> {
  if (holdAt !== at) return
  holdAt = undefined
  const going = new Promise<void>((resolve) => {
    go = resolve
  })
  send({ type: 'holding' })
  await going
}

const pool = new pg.Pool({
  connectionString: settings.databaseUrl,
  application_name: settings.instance,
  options: '-c search_path=public',
})
pool.on('error', () => undefined)

/** The pool as it is, but for the places to hold at and a note of what the target refuses. */
const watched = {
  query: pool.query.bind(pool) as pg.Pool['query'],
  connect: async (): Promise<PgClient> => {
    await hold('begin')
    const client = await pool.connect()
    return {
      query: async (text, values) => {
        try {
          return await client.query(text, values)
        } catch (error) {
          if (error instanceof Error && 'code' in error) refusals.push(String(error.code))
          throw error
        }
      },
      release: (error) => client.release(error),
      on: (event, listener) => client.on(event, listener),
      off: (event, listener) => client.off(event, listener),
    }
  },
}

const switchback = await connect({
  url: settings.url,
  token: settings.token,
  app: 'rides-api',
  version: '1.0.0',
  instance: settings.instance,
})

type Tx = { readonly query: pg.Pool['query'] }
const notes = switchback.migration(settings.migration, {
  key: (id: number) => id,
  transaction: pgTransaction(watched),
  read: {
    old: (id, tx: Tx) => tx.query('select note from users where id = $1', [id]),
    new: (id, tx: Tx) => tx.query('select note from notes where user_id = $1', [id]),
  },
  write: {
    old: (id, tx: Tx, note: string) => tx.query('update users set note = $2 where id = $1', [id, note]),
    new: async (id, tx: Tx, note: string) => {
      await hold('second-statement')
      return tx.query(
        `insert into notes (user_id, note) values ($1, $2)
         on conflict (user_id) do update set note = excluded.note`,
        [id, note],
      )
    },
  },
})
await switchback.ready()

async function write(key: number, value: string, at: HoldAt | undefined): Promise<void> {
  holdAt = at
  refusals = []
  const error = await notes.write(key, value).then(
    () => undefined,
    (failed: unknown) => String(failed),
  )
  send({ type: 'written', refusals, ...(error === undefined ? {} : { error }) })
}

async function stop(): Promise<void> {
  await switchback.close()
  await pool.end()
  process.disconnect()
}

process.on('message', (message: ToInstance) => {
  if (message.type === 'write') void write(message.key, message.value, message.holdAt)
  else if (message.type === 'go') go()
  else void stop()
})
// The test is gone: nothing of it may be left running.
process.on('disconnect', () => process.exit(0))
send({ type: 'ready' })
