/** rides-api: an application instance with live traffic, as a process of its own. */
import { connect, pgTransaction } from '@switchback/sdk'
import pg from 'pg'
import { Ledger } from './ledger.ts'
import type { AppSettings, FromApp, ToApp } from './messages.ts'
import { newPath, oldPath, type ProfileChange } from './profiles.ts'
import { createTraffic } from './traffic.ts'

/** The fault that the demo plants into the new read path. */
class InjectedError extends Error {
  override readonly name = 'InjectedError'
}

const settings = JSON.parse(process.env.RIDES_API ?? '{}') as AppSettings
const send = (message: FromApp) => process.send?.(message)

const pool = new pg.Pool({
  connectionString: settings.databaseUrl,
  max: settings.concurrency + 4,
  application_name: settings.instance,
})
const ledger = new Ledger(settings.instance)
const paths = { old: { reads: 0, errors: 0 }, new: { reads: 0, errors: 0 } }
let failingShare = 0

const switchback = await connect({
  url: settings.switchbackUrl,
  token: settings.token,
  app: 'rides-api',
  version: '1.4.2',
  instance: settings.instance,
})

const profiles = switchback.migration('user-profiles', {
  key: (id: string) => id,
  transaction: pgTransaction(pool),
  read: {
    old: (id) => {
      paths.old.reads++
      return oldPath.read(id, pool)
    },
    new: async (id) => {
      paths.new.reads++
      if (failingShare > 0 && Math.random() < failingShare) {
        paths.new.errors++
        throw new InjectedError('the new read path fails')
      }
      return newPath.read(id, pool)
    },
  },
  write: {
    old: (id, tx, change: ProfileChange) => oldPath.write(id, tx, change),
    new: (id, tx, change: ProfileChange) => newPath.write(id, tx, change),
  },
  remove: {
    old: (id, tx) => oldPath.remove(id, tx),
    new: (id, tx) => newPath.remove(id, tx),
  },
})
await switchback.ready()

const traffic = createTraffic(settings, profiles, ledger)
const stats = setInterval(() => send({ type: 'stats', summary: ledger.summary(), paths }), 200)

async function stop(): Promise<void> {
  clearInterval(stats)
  await traffic.stop()
  await switchback.close()
  await pool.end()
  process.disconnect()
}

process.on('message', (message: ToApp) => {
  if (message.type === 'fail-new-reads') failingShare = message.share
  else if (message.type === 'pause') void traffic.pause().then(() => send({ type: 'paused' }))
  else if (message.type === 'resume') traffic.resume()
  else if (message.type === 'ledger')
    send({ type: 'ledger', summary: ledger.summary(), records: ledger.records() })
  else void stop()
})
// The demo is gone: nothing of it may be left running.
process.on('disconnect', () => process.exit(0))
// Ctrl-C reaches the whole group; the demo decides when instances stop.
process.on('SIGINT', () => {})
send({ type: 'ready' })
