import { parentPort, workerData } from 'node:worker_threads'
import { writeBoth } from './copy-traffic.ts'
import { type Habit, startTraffic } from './traffic.ts'

/*
 * A thread of its own: an application does not share an event loop with the server, so that what the server's
 * has to do must not count as waiting for the database.
 */

/** One operation of the application that has ended. */
export interface Operation {
  readonly operation: 'read' | 'write'
  /** When it ended, in ms since 1970. */
  readonly at: number
  readonly ms: number
}

const TELL_MS = 200

const { url, rows } = workerData as { readonly url: string; readonly rows: number }
let ended: Operation[] = []

const anyKey = (): number => 1 + Math.floor(Math.random() * rows)
const timed =
  (operation: Operation['operation'], query: Habit['query']): Habit['query'] =>
  async (client) => {
    const start = performance.now()
    await query(client)
    ended.push({ operation, at: Date.now(), ms: performance.now() - start })
  }

/** Reads of old, and guarded writes of both paths, of any rows. */
const traffic = await startTraffic(url, [
  {
    sessions: 2,
    query: timed('read', (client) =>
      client.query('select name, email, bio from users where id = $1', [anyKey()]),
    ),
  },
  { sessions: 2, query: timed('write', (client) => writeBoth(client, anyKey())) },
])
const timer = setInterval(() => {
  parentPort?.postMessage(ended)
  ended = []
}, TELL_MS)
parentPort?.once('message', async () => {
  clearInterval(timer)
  await traffic.stop()
  process.exit(0)
})
