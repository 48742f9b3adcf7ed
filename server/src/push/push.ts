import type { Server as HttpServer } from 'node:http'
import type { ServerToClient, Telemetry } from '@switchback/migrations-registry'
import { type DefaultEventsMap, type Namespace, Server } from 'socket.io'
import type { Queryable } from '../db/db.ts'
import type { Fleet } from '../fleet/fleet-port.ts'
import { createAdmission } from './admission.ts'
import {
  type Authenticate,
  type Credential,
  credentialsBy,
  requireRole,
  type SocketDoor,
} from './authentication.ts'
import { type Cursor, type News, readCursor, readNews } from './changes.ts'
import { createConsoleNamespace, type ServerToConsole, type WorkUpdate } from './console-namespace.ts'
import type { Revisions } from './revisions.ts'
import { type ConnectedInstance, createSdkNamespace } from './sdk-namespace.ts'
import type { Snapshots } from './snapshots.ts'

export interface PushOptions {
  /** Its request handler must be set before, or requests of sockets reach it too. */
  readonly httpServer: HttpServer
  readonly db: Queryable
  readonly auth: Authenticate
  /** How consoles of people are known who have signed in, rather than sent a token. */
  readonly sessions?: SocketDoor
  readonly fleet: Pick<Fleet, 'register' | 'heartbeat' | 'goodbye'>
  readonly snapshots: Snapshots
  readonly revisions: Revisions
  readonly telemetry: (instance: ConnectedInstance, telemetry: Telemetry) => void
  readonly log: { warn(detail: object, message: string): void }
  readonly monotonic?: () => number
  /** Connections that may be on their way in at the same time. */
  readonly maxJoining?: number
}

export interface Push {
  /** Shows the progress of database work in the console. */
  progress(update: WorkUpdate): void
  /** Tells the console whose fleet has moved on. */
  fleetMoved(migrations: readonly string[]): void
  /** Instances connected to this server. */
  connected(): number
  /** Revision up to which clients have been told. */
  readonly revision: number
  /** Ends all connections; the HTTP server stays open. */
  stop(): Promise<void>
}

const SDK_ROLES = ['sdk', 'admin']
const CONSOLE_ROLES = ['viewer', 'operator', 'approver', 'admin']
/** The largest registration and the largest telemetry batch fit. */
const MAX_MESSAGE_BYTES = 1_000_000
const RETRY_MS = 250
/** Changes by which somebody may have lost what they connected by. */
const ENDS = /^(token|session)\./
/** Tokens and sessions expire without anybody saying so. */
const RECHECK_MS = 60_000

/**
 * Pushes changes over websockets. Per server there is one order: each revision is read from the store after
 * the one before has been sent, so a client that starts from a snapshot and applies what follows has everything.
 */
export async function createPush(options: PushOptions): Promise<Push> {
  const { db, revisions, auth, log, monotonic = () => performance.now() } = options
  let cursor: Cursor = await readCursor(db)
  const { maxJoining: max } = options
  const admission = createAdmission({ monotonic, ...(max === undefined ? {} : { max }) })
  const io = new Server(options.httpServer, {
    allowRequest: admission.allow,
    transports: ['websocket'],
    perMessageDeflate: false,
    maxHttpBufferSize: MAX_MESSAGE_BYTES,
    serveClient: false,
    connectTimeout: 10_000,
  })
  const sdkNamespace: Namespace<DefaultEventsMap, ServerToClient> = io.of('/sdk')
  const consoleNamespace: Namespace<DefaultEventsMap, ServerToConsole> = io.of('/console')
  const forSdks = credentialsBy(auth)
  const forConsoles = credentialsBy(auth, options.sessions)
  sdkNamespace.use(requireRole(forSdks, SDK_ROLES))
  consoleNamespace.use(requireRole(forConsoles, CONSOLE_ROLES))
  const sdk = createSdkNamespace({
    ...options,
    namespace: sdkNamespace,
    monotonic,
    joined: (socket) => admission.done(socket.request),
    broadcast: () => cursor.content,
  })
  consoleNamespace.on('connection', (socket) => admission.done(socket.request))
  const console = createConsoleNamespace(consoleNamespace)

  let stopped = false
  let telling: Promise<void> | undefined
  let retry: NodeJS.Timeout | undefined

  /** Tells all there is to tell. False where the store could not be asked, or has not got that far. */
  async function tell(): Promise<boolean> {
    while (!stopped && cursor.head < revisions.current) {
      let news: News
      try {
        news = await readNews(db, cursor)
      } catch (error) {
        log.warn({ err: error }, 'what has changed could not be read; trying again')
        return false
      }
      if (stopped || news.cursor.head <= cursor.head) return false
      cursor = news.cursor
      if (news.change !== undefined) sdk.change(news.change)
      for (const { kind, subject } of news.events) {
        if (kind === 'instance.forgotten' && subject !== null) sdk.forgotten(subject)
      }
      if (news.events.some(({ kind }) => ENDS.test(kind))) void recheckTokens()
      const subjects = new Set(news.events.flatMap(({ subject }) => (subject === null ? [] : [subject])))
      console.revision(cursor.head, [...subjects])
    }
    return true
  }

  function wake(): void {
    if (stopped || telling !== undefined) return
    clearTimeout(retry)
    telling = tell().then((told) => {
      telling = undefined
      if (!told) retry = setTimeout(wake, RETRY_MS)
      // News may have come between the last look and here.
      else if (cursor.head < revisions.current) wake()
    })
  }

  /** Ends connections whose token or session does not hold any more. */
  async function recheckTokens(): Promise<void> {
    for (const [namespace, credentialOf] of [
      [sdkNamespace, forSdks],
      [consoleNamespace, forConsoles],
    ] as const) {
      const credentials = new Map<string, Credential>()
      for (const socket of namespace.sockets.values()) {
        const credential = credentialOf(socket)
        if (credential !== undefined) credentials.set(credential.key, credential)
      }
      for (const { key, check } of credentials.values()) {
        const identity = await check().catch(() => 'unknown' as const)
        if (identity !== undefined) continue
        for (const socket of namespace.sockets.values()) {
          if (credentialOf(socket)?.key === key) socket.disconnect(true)
        }
      }
    }
  }

  const unsubscribe = revisions.onRevision(wake)
  const recheck = setInterval(() => void recheckTokens(), RECHECK_MS)
  recheck.unref()
  wake()

  return {
    progress: console.progress,
    fleetMoved: console.fleet,
    connected: sdk.connected,
    get revision() {
      return cursor.content
    },
    async stop() {
      stopped = true
      unsubscribe()
      clearInterval(recheck)
      clearTimeout(retry)
      console.stop()
      await telling
      io.disconnectSockets(true)
      // Closing the server as a whole would close the HTTP server with it, which is not ours.
      io.engine.close()
    },
  }
}
