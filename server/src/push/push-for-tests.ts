import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Answer, definitionSchema, initialState, type Telemetry } from '@switchback/migrations-registry'
import { testStore } from '@switchback/test/support'
import { io, type Socket } from 'socket.io-client'
import { recordChange } from '../changes/record-change.ts'
import type { Db } from '../db/db.ts'
import { createFleet } from '../fleet/fleet.ts'
import type { Fleet } from '../fleet/fleet-port.ts'
import { createRevisions } from './create-revisions.ts'
import { createPush, type Push } from './push.ts'
import type { Revisions } from './revisions.ts'
import { createSnapshots } from './snapshots.ts'

interface Running {
  readonly url: string
  readonly push: Push
  readonly fleet: Fleet
  readonly revisions: Revisions
  readonly measured: { instance: { id: string }; telemetry: Telemetry }[]
}

/** A store, and servers and sockets over it that `clear` ends again. */
export interface PushWorld {
  readonly db: Db
  /** Who may connect: one token of each role, by its name. */
  readonly tokens: Map<string, { role: string; name: string; migrations?: readonly string[] }>
  /** @param on the database that snapshots are read from */
  start(on?: Db, more?: { readonly maxJoining?: number }): Promise<Running>
  /** @param token null: none is shown */
  connect(url: string, token?: string | null, namespace?: string): Socket
  /** Commits a migration at this epoch, as a server elsewhere would. */
  commit(epoch: number, id?: string): Promise<number>
  clear(): Promise<void>
  drop(): Promise<void>
}

const ROLES = ['sdk', 'viewer', 'alert', 'admin']

export async function pushWorld(): Promise<PushWorld> {
  const store = await testStore()
  const { db } = store
  const log = { info: () => undefined, warn: () => undefined }
  const open: (() => Promise<unknown>)[] = []
  const tokens: PushWorld['tokens'] = new Map()
  const letIn = () => {
    tokens.clear()
    for (const role of ROLES) tokens.set(role, { role, name: role })
  }
  letIn()

  return {
    db,
    tokens,
    start: async (on = db, more = {}) => {
      const httpServer = createServer((_, response) => response.end('other'))
      const revisions = await createRevisions({ db, log, pollMs: 20 })
      const fleet = createFleet({ db, clock: Date.now, server: 's', log, announce: revisions.announce })
      const measured: Running['measured'] = []
      const push = await createPush({
        httpServer,
        db,
        auth: async (token) => tokens.get(token),
        fleet,
        snapshots: createSnapshots({ db: on }),
        revisions,
        telemetry: (instance, telemetry) => measured.push({ instance, telemetry }),
        log,
        ...more,
      })
      await new Promise<void>((resolve) => httpServer.listen(0, '127.0.0.1', resolve))
      open.push(async () => {
        await push.stop()
        await fleet.stop()
        await revisions.stop()
        await new Promise((resolve) => httpServer.close(resolve))
      })
      const { port } = httpServer.address() as AddressInfo
      return { url: `http://127.0.0.1:${port}`, push, fleet, revisions, measured }
    },
    connect: (url, token = 'sdk', namespace = '/sdk') => {
      const socket = io(`${url}${namespace}`, {
        transports: ['websocket'],
        auth: token === null ? {} : { token },
        reconnection: false,
        forceNew: true,
      })
      open.push(async () => socket.disconnect())
      return socket
    },
    commit: (epoch, id = 'm') =>
      db.tx(async (tx) => {
        const revision = await recordChange(tx, {
          at: Date.now(),
          actor: 'ann',
          kind: 'migration.advanced',
          subject: id,
        })
        await tx.query(
          `insert into migrations values ($1, $2, '', '{}', '', $3, $4, now(), now())
           on conflict (id) do update set state = excluded.state, revision = excluded.revision`,
          [id, definitionSchema.parse({ id, title: id }), { ...initialState(id, 0), epoch }, revision],
        )
        return revision
      }),
    clear: async () => {
      for (const close of open.splice(0).reverse()) await close()
      await db.query('truncate instances, migrations, flags, removals, audit_events cascade')
      letIn()
    },
    drop: () => store.drop(),
  }
}

export const ask = <Value>(socket: Socket, event: string, ...body: unknown[]): Promise<Answer<Value>> =>
  socket.timeout(10_000).emitWithAck(event, ...body) as Promise<Answer<Value>>

export const registration = (instance = 'i-1', incarnation = 'first') => ({
  protocol: 1,
  instance,
  incarnation,
  app: 'rides-api',
  version: '1.0.0',
  onLeaseExpired: 'hold',
  migrations: { m: { handlers: ['old', 'new'], fenced: true } },
  positions: {},
})
