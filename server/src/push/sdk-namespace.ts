import {
  type Answer,
  type Change,
  type HeartbeatAnswer,
  heartbeatSchema,
  type RegistrationAnswer,
  registrationSchema,
  type ServerToClient,
  type Snapshot,
  type Telemetry,
  telemetrySchema,
  type WireError,
} from '@switchback/migrations-registry'
import type { DefaultEventsMap, Namespace, Socket } from 'socket.io'
import { z } from 'zod'
import type { Fleet } from '../fleet/fleet-port.ts'
import { ownTelemetry } from '../telemetry/in-scope.ts'
import { createMessageRate } from './message-rate.ts'
import { createScopeRooms, readerOf } from './scope-rooms.ts'
import type { Snapshots } from './snapshots.ts'
import { changeVisibleTo, visibleTo } from './visible-to.ts'

/** The instance that speaks on a socket. */
export interface ConnectedInstance {
  readonly id: string
  readonly incarnation: string
  readonly app: string
  readonly version: string
}

type SdkSocket = Socket<DefaultEventsMap, ServerToClient>

export interface SdkNamespaceOptions {
  readonly namespace: Namespace<DefaultEventsMap, ServerToClient>
  readonly fleet: Pick<Fleet, 'register' | 'heartbeat' | 'goodbye'>
  readonly snapshots: Snapshots
  /** Takes measurements; must not throw. */
  readonly telemetry: (instance: ConnectedInstance, telemetry: Telemetry) => void
  readonly log: { warn(detail: object, message: string): void }
  readonly monotonic: () => number
  /** Told when a connection has got what it came for, or a refusal. */
  readonly joined: (socket: SdkSocket) => void
  /** Revision up to which changes have been broadcast. */
  readonly broadcast: () => number
}

const roomOf = (instance: string): string => `instance:${instance}`

const NOT_REGISTERED: WireError = {
  code: 'unknown-instance',
  message: 'Nobody has registered on this connection. Register first.',
  retryable: true,
}
const TOO_MANY: WireError = {
  code: 'too-many-messages',
  message: 'Too many messages on this connection; slow down.',
  retryable: true,
}
const FAILED: WireError = {
  code: 'store-unavailable',
  message: 'The server could not answer at the moment.',
  retryable: true,
}

const refused = (error: WireError): { readonly ok: false; readonly error: WireError } => ({
  ok: false,
  error,
})

/** The events of `/sdk`. Every message is checked before it is believed, and every one is answered. */
export function createSdkNamespace(options: SdkNamespaceOptions) {
  const { namespace, fleet, snapshots, log } = options
  const spoken = new Map<string, ConnectedInstance>()
  const rooms = createScopeRooms(namespace)

  /** A snapshot, with the socket in the room of its scope so that it misses no change after it. */
  async function snapshotAndJoin(socket: SdkSocket, take: () => Promise<Snapshot>): Promise<Snapshot> {
    for (;;) {
      const snapshot = await take()
      // A change sent while the snapshot was read would be missed; between this look and joining nothing is sent.
      if (snapshot.revision < options.broadcast()) continue
      rooms.join(socket)
      return visibleTo(readerOf(socket), snapshot)
    }
  }

  function connected(socket: SdkSocket): void {
    const rate = createMessageRate(options.monotonic)
    const sender = readerOf(socket)
    /** Who was refused because the id is taken may still say goodbye. */
    let claimed: ConnectedInstance | undefined
    let isJoined = false

    function on<Body, Value>(
      event: string,
      schema: z.ZodType<Body>,
      run: (body: Body) => Promise<Answer<Value>>,
    ): void {
      socket.on(event, (...args: readonly unknown[]) => {
        const last = args.at(-1)
        const answer =
          typeof last === 'function' ? (last as (result: Answer<Value>) => void) : () => undefined
        if (!rate.allows()) {
          answer(refused(TOO_MANY))
          return
        }
        const parsed = schema.safeParse(typeof args[0] === 'function' ? undefined : args[0])
        if (!parsed.success) {
          const message = `${event}: ${z.prettifyError(parsed.error)}`.slice(0, 2_000)
          answer(refused({ code: 'bad-message', message, retryable: false }))
          return
        }
        run(parsed.data)
          .catch((error: unknown) => {
            log.warn({ err: error, event }, 'a message could not be answered')
            return refused(FAILED)
          })
          .then((result) => {
            answer(result)
            if (!isJoined) options.joined(socket)
            isJoined = true
          })
      })
    }

    on('register', registrationSchema, async (body): Promise<Answer<RegistrationAnswer>> => {
      const result = await fleet.register(body, sender)
      const { instance: id, incarnation, app, version } = body
      if (result.ok || result.error.code === 'instance-taken') claimed = { id, incarnation, app, version }
      if (!result.ok) return refused(result.error)
      takeOver(socket, { id, incarnation, app, version })
      const snapshot = await snapshotAndJoin(socket, snapshots.fresh)
      socket.join(roomOf(id))
      return { ok: true, value: { ...result.value, snapshot } }
    })
    on('heartbeat', heartbeatSchema, async (body): Promise<Answer<HeartbeatAnswer>> => {
      const instance = spoken.get(socket.id)
      if (instance === undefined) return refused(NOT_REGISTERED)
      const result = await fleet.heartbeat(instance.id, instance.incarnation, body, sender)
      if (!result.ok) return refused(result.error)
      return { ok: true, value: { ...result.value, revision: options.broadcast() } }
    })
    on('progress', heartbeatSchema, async (body): Promise<Answer<null>> => {
      const instance = spoken.get(socket.id)
      if (instance === undefined) return refused(NOT_REGISTERED)
      const result = await fleet.heartbeat(instance.id, instance.incarnation, body, sender)
      return result.ok ? { ok: true, value: null } : refused(result.error)
    })
    on('sync', z.unknown(), async (): Promise<Answer<Snapshot>> => {
      // Whatever is newer than what was broadcast is about to be: a fleet that resyncs costs the store nothing.
      const held = () => snapshots.atLeast(options.broadcast())
      return { ok: true, value: await snapshotAndJoin(socket, held) }
    })
    on('telemetry', telemetrySchema, async (body): Promise<Answer<null>> => {
      const instance = spoken.get(socket.id)
      if (instance === undefined) return refused(NOT_REGISTERED)
      options.telemetry(instance, ownTelemetry(sender, body))
      return { ok: true, value: null }
    })
    on('goodbye', heartbeatSchema, async (body): Promise<Answer<null>> => {
      if (claimed === undefined) return refused(NOT_REGISTERED)
      const result = await fleet.goodbye(claimed.id, claimed.incarnation, body, sender)
      if (!result.ok) return refused(result.error)
      spoken.delete(socket.id)
      rooms.leave(socket)
      socket.leave(roomOf(claimed.id))
      return { ok: true, value: null }
    })
    socket.on('disconnect', () => {
      spoken.delete(socket.id)
    })
  }

  /** Another process that still listens under the id is told that it has lost it. */
  function takeOver(socket: SdkSocket, instance: ConnectedInstance): void {
    for (const id of namespace.adapter.rooms.get(roomOf(instance.id)) ?? []) {
      if (id === socket.id || spoken.get(id)?.incarnation === instance.incarnation) continue
      dismiss(id, {
        code: 'instance-taken',
        message: `Another process has registered as ${instance.id}.`,
        retryable: true,
      })
    }
    if (socket.connected) spoken.set(socket.id, instance)
  }

  function dismiss(socketId: string, error: WireError): void {
    const socket = namespace.sockets.get(socketId)
    const instance = spoken.get(socketId)
    spoken.delete(socketId)
    if (instance !== undefined) socket?.leave(roomOf(instance.id))
    socket?.emit('dismissed', error)
  }

  namespace.on('connection', connected)
  return {
    /** Tells every instance what it may hear; one message for each scope, encoded once. */
    change(change: Change): void {
      for (const { room, reader } of rooms.occupied()) {
        namespace.to(room).emit('change', changeVisibleTo(reader, change))
      }
    },
    /** Tells an instance that it was taken off the books. It registers again if it is still there. */
    forgotten(instance: string): void {
      for (const id of [...(namespace.adapter.rooms.get(roomOf(instance)) ?? [])]) {
        dismiss(id, {
          code: 'forgotten',
          message: `${instance} was forgotten. Register again.`,
          retryable: true,
        })
      }
    },
    /** Instances that are connected to this server. */
    connected: (): number => spoken.size,
  }
}
