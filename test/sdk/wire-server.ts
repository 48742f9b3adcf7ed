import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type Answer,
  type Change,
  type ClientToServer,
  type Heartbeat,
  heartbeatSchema,
  type MigrationConfig,
  type Registration,
  registrationSchema,
  type ServerToClient,
  type Snapshot,
  type Telemetry,
  telemetrySchema,
} from '@switchback/migrations-registry'
import { Server } from 'socket.io'

export const TOKEN = 'sdk-token'

interface Received {
  readonly registrations: Registration[]
  readonly heartbeats: Heartbeat[]
  readonly progress: Heartbeat[]
  readonly goodbyes: Heartbeat[]
  readonly telemetry: Telemetry[]
  syncs: number
}

/**
 * The server's side of the wire, over a real socket: what it holds is set by the test, every message is
 * checked against its schema, and everything received is kept.
 */
export interface WireServer {
  readonly url: string
  readonly received: Received
  state: Snapshot
  /** Answers registrations with this error instead. */
  refuse:
    | ((body: Registration) => { code: string; message: string; retryable: boolean } | undefined)
    | undefined
  /** Answers heartbeats with this code instead. */
  refuseBeats: string | undefined
  heartbeatMs: number
  leaseMs: number
  /** Set to leave messages of this kind without an answer. */
  mute: ReadonlySet<keyof ClientToServer>
  /** Holds the answers to registrations until the promise is there. */
  hold: Promise<void> | undefined
  /** Changes a migration, and pushes the change unless told to lose it. */
  set(config: MigrationConfig, options?: { readonly lose?: boolean }): void
  emit(change: unknown): void
  dismiss(code: string): void
  /** Cuts all connections, and goes on listening. */
  cut(): void
  stop(): Promise<void>
}

export async function startWireServer(state: Snapshot, port = 0): Promise<WireServer> {
  const http: HttpServer = createServer()
  const io = new Server<ClientToServer, ServerToClient>(http, { transports: ['websocket'] })
  const namespace = io.of('/sdk')
  const received: Received = {
    registrations: [],
    heartbeats: [],
    progress: [],
    goodbyes: [],
    telemetry: [],
    syncs: 0,
  }
  const server: WireServer = {
    url: '',
    received,
    state,
    refuse: undefined,
    refuseBeats: undefined,
    heartbeatMs: 60_000,
    leaseMs: 15_000,
    mute: new Set(),
    hold: undefined,
    set: (config, options) => {
      const since = server.state.revision
      const rest = server.state.migrations.filter(({ id }) => id !== config.id)
      server.state = { ...server.state, revision: since + 1, migrations: [...rest, config] }
      if (options?.lose) return
      const change: Change = {
        since,
        revision: since + 1,
        migrations: [config],
        flags: [],
        removedMigrations: [],
        removedFlags: [],
      }
      namespace.emit('change', change)
    },
    emit: (change) => namespace.emit('change', change as Change),
    dismiss: (code) => namespace.emit('dismissed', { code, message: code, retryable: true }),
    cut: () => {
      for (const socket of namespace.sockets.values()) socket.conn.close()
    },
    stop: async () => {
      await io.close()
    },
  }
  namespace.use((socket, next) => {
    const { token } = socket.handshake.auth as { token?: unknown }
    if (token === TOKEN) return next()
    next(
      Object.assign(new Error('no'), {
        data: { code: 'unauthorized', message: 'unknown token', retryable: false },
      }),
    )
  })
  namespace.on('connection', (socket) => {
    const ok = <T>(event: keyof ClientToServer, answer: (result: Answer<T>) => void, value: T): void => {
      if (!server.mute.has(event)) answer({ ok: true, value })
    }
    socket.on('register', async (body, answer) => {
      received.registrations.push(registrationSchema.parse(body))
      await server.hold
      const error = server.refuse?.(body)
      if (error !== undefined) return answer({ ok: false, error })
      const { heartbeatMs, leaseMs } = server
      ok('register', answer, { snapshot: server.state, heartbeatMs, leaseMs })
    })
    socket.on('heartbeat', (body, answer) => {
      received.heartbeats.push(heartbeatSchema.parse(body))
      const code = server.refuseBeats
      if (code !== undefined) return answer({ ok: false, error: { code, message: code, retryable: false } })
      ok('heartbeat', answer, { revision: server.state.revision, leaseMs: server.leaseMs })
    })
    socket.on('progress', (body, answer) => {
      received.progress.push(heartbeatSchema.parse(body))
      ok('progress', answer, null)
    })
    socket.on('sync', (answer) => {
      received.syncs++
      ok('sync', answer, server.state)
    })
    socket.on('telemetry', (body, answer) => {
      received.telemetry.push(telemetrySchema.parse(body))
      ok('telemetry', answer, null)
    })
    socket.on('goodbye', (body, answer) => {
      received.goodbyes.push(heartbeatSchema.parse(body))
      ok('goodbye', answer, null)
    })
  })
  await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve))
  const address = http.address() as AddressInfo
  return Object.assign(server, { url: `http://127.0.0.1:${address.port}` })
}
