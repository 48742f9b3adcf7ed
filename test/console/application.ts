import { setTimeout as pause } from 'node:timers/promises'
import { connect, pgTransaction, type Switchback } from '@switchback/sdk'
import pg from 'pg'
import { type Made, newTable, oldTable } from './scenery.ts'

export interface ApplicationOptions {
  readonly url: string
  readonly token: string
  readonly targetUrl: string
  readonly app: string
  readonly version: string
  readonly instance: string
  readonly migrations: readonly Made[]
}

export interface Application {
  readonly client: Switchback
  /** Share of reads of new that fail from now on, and how much longer they take. */
  trouble(failing: number, slowerMs: number): void
  /** Reads and writes, with pauses of so many milliseconds, until it is stopped. */
  traffic(pauseMs: number): void
  stop(): Promise<void>
}

type Db = Pick<pg.Pool, 'query'>

/** A real instance of an application: the SDK, a pool, and handlers for old and new. */
export async function startApplication(options: ApplicationOptions): Promise<Application> {
  const pool = new pg.Pool({ connectionString: options.targetUrl, max: 4 })
  const { url, token, app, version, instance } = options
  const client = await connect({ url, token, app, version, instance })
  let failing = 0
  let slowerMs = 0
  const routers = options.migrations.map((made) => {
    const read = (table: string) => async (id: string, db: Db) => {
      if (table === newTable(made)) {
        if (slowerMs > 0) await pause(slowerMs)
        if (Math.random() < failing) throw new Error('the new read path fails')
      }
      return (await db.query(`select payload from ${table} where id = $1`, [id])).rows[0] ?? null
    }
    const write = (table: string) => async (id: string, db: Db, payload: string) => {
      await db.query(
        `insert into ${table} (id, payload) values ($1, $2) on conflict (id) do update set payload = excluded.payload, updated_at = now()`,
        [id, payload],
      )
    }
    const router = client.migration(made.id, {
      key: (id: string) => id,
      transaction: pgTransaction(pool),
      read: {
        old: (id) => read(oldTable(made))(id, pool),
        new: (id) => read(newTable(made))(id, pool),
      },
      write: {
        old: (id, tx, payload: string) => write(oldTable(made))(id, tx, payload),
        new: (id, tx, payload: string) => write(newTable(made))(id, tx, payload),
      },
    })
    return { made, router }
  })
  await client.ready()
  const stop = new AbortController()
  const running: Promise<void>[] = []

  async function busy(pauseMs: number): Promise<void> {
    for (let turn = 0; !stop.signal.aborted; turn++) {
      const each = routers[turn % routers.length]
      if (each === undefined) return
      const id = String(1 + Math.floor(Math.random() * each.made.rows))
      // What fails is what the telemetry tells of; the application has nobody to tell.
      await (turn % 5 === 0 ? each.router.write(id, `written by ${instance}`) : each.router.read(id)).catch(
        () => undefined,
      )
      await pause(pauseMs, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  }

  return {
    client,
    trouble: (share, slower) => {
      failing = share
      slowerMs = slower
    },
    traffic: (pauseMs) => {
      running.push(busy(pauseMs))
    },
    stop: async () => {
      stop.abort()
      await Promise.all(running)
      await client.close()
      await pool.end()
    },
  }
}
