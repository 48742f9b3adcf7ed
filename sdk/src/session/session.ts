import {
  type Answer,
  changeSchema,
  type Position,
  PROTOCOL,
  type Registration,
  type Telemetry,
  type WireError,
} from '@switchback/migrations-registry'
import type { Cancel, Clock } from '../clock.ts'
import { messageOf, SwitchbackError } from '../error.ts'
import { backoff } from '../link/backoff.ts'
import type { Link, LinkRefusal } from '../link/link.ts'
import type { Log } from '../log.ts'
import type { StateHolder } from '../state/state-holder.ts'
import { readHeartbeat, readNull, readRegistration, readSnapshot } from './answers.ts'
import type { Lease } from './lease.ts'
import { createRegistrations, type Registrations } from './registrations.ts'

const REQUEST_TIMEOUT_MS = 10_000
const RESYNC_MS = 60_000
/** Answers that say that the server does not count this process as this instance. */
const LOST: ReadonlySet<string> = new Set([
  'unknown-instance',
  'forgotten',
  'instance-taken',
  // Registering anew is where it is told what its token lacks.
  'out-of-scope',
])

export interface SessionOptions {
  readonly link: Link
  readonly clock: Clock
  readonly random: () => number
  readonly newId: () => string
  readonly log: Log
  readonly state: StateHolder
  readonly lease: Lease
  readonly app: string
  readonly version: string
  /** Id under which this instance is known; replaced when another process has taken it over. */
  readonly identity: { instance: string }
  readonly onLeaseExpired: 'hold' | 'stop'
  readonly migrations: () => Registration['migrations']
  readonly positions: () => Record<string, Position>
  readonly listener: {
    registered(): void
    /** Not registered, since the server wants handlers and none were declared yet; but the state is there. */
    undeclared(): void
    /** Registered no more: the connection is gone. */
    disconnected(): void
    refused(error: SwitchbackError): void
  }
}

/** The conversation with the server: registration, heartbeats, changes, resync. */
export interface Session {
  readonly connected: boolean
  readonly registered: boolean
  open(): void
  /** Tells the server of migrations that were declared since. */
  declare(): ReturnType<Registrations['declare']>
  /** Resolves when everything declared is registered, rejects when the server has refused it for good. */
  ready(): Promise<void>
  /** Fetches everything; at most one at a time. */
  sync(): Promise<void>
  /** Reports the positions at once. Calls while one is under way are merged into one more. */
  progress(): void
  telemetry(batch: Telemetry): Promise<boolean>
  goodbye(): Promise<void>
  close(): void
}

export function createSession(options: SessionOptions): Session {
  const { link, clock, random, log, state, lease, identity, listener } = options
  const registrations = createRegistrations()
  const timers = new Map<'heartbeat' | 'resync' | 'register', Cancel>()
  let incarnation = options.newId()
  let registered = false
  let registering = false
  let failures = 0
  let syncing: Promise<void> | undefined
  let reporting = false
  let reportAgain = false
  let closed = false

  const arm = (name: 'heartbeat' | 'resync' | 'register', ms: number, task: () => void): void => {
    timers.get(name)?.()
    if (!closed) timers.set(name, clock.after(ms, task))
  }
  const disarm = (): void => {
    for (const cancel of timers.values()) cancel()
    timers.clear()
  }

  const ask = async <T>(
    event: Parameters<Link['request']>[0],
    body: unknown,
    read: (answer: unknown) => Answer<T>,
    timeoutMs = REQUEST_TIMEOUT_MS,
  ): Promise<Answer<T>> => {
    try {
      return read(await link.request(event, body, timeoutMs))
    } catch (error) {
      return { ok: false, error: { code: 'unreachable', message: messageOf(error), retryable: true } }
    }
  }

  const register = async (): Promise<void> => {
    if (registering || closed || !link.connected) return
    registering = true
    timers.get('register')?.()
    timers.delete('register')
    const generation = registrations.declared
    const sentAt = clock.now()
    const positions = options.positions()
    const answer = await ask(
      'register',
      {
        protocol: PROTOCOL,
        instance: identity.instance,
        incarnation,
        app: options.app,
        version: options.version,
        onLeaseExpired: options.onLeaseExpired,
        migrations: options.migrations(),
        positions: Object.fromEntries(
          Object.entries(positions).map(([id, { applied, drained }]) => [id, { applied, drained }]),
        ),
      } satisfies Registration,
      readRegistration,
    )
    registering = false
    if (closed) return
    if (!answer.ok) return notRegistered(answer.error, generation)
    const { snapshot, heartbeatMs, leaseMs } = answer.value
    failures = 0
    registered = true
    lease.renew(sentAt, leaseMs)
    state.snapshot(snapshot)
    arm('heartbeat', heartbeatMs, () => void heartbeat(heartbeatMs))
    resyncLater()
    registrations.accepted(generation)
    listener.registered()
    // The positions as they are after the snapshot: the server waits for them.
    progress()
    if (registrations.declared > generation) void register()
  }

  const notRegistered = (error: WireError, generation: number): void => {
    if (error.retryable) {
      log.warn('registration failed and is tried again', { code: error.code, reason: error.message })
      arm('register', backoff(failures++, random), () => void register())
      return
    }
    const refusal = new SwitchbackError(
      'refused',
      `the server refuses this instance (${error.code}): ${error.message}`,
      {
        retryable: false,
        cause: error,
      },
    )
    registrations.refused(generation, refusal)
    if (error.code === 'missing-handlers' && generation === 0) {
      // The handlers are declared after `connect`; until then there is something to evaluate flags with.
      void sync().then(listener.undeclared)
    } else {
      log.error('the server refuses this instance', { code: error.code, reason: error.message })
      listener.refused(refusal)
    }
    if (registrations.declared > generation) void register()
  }

  /** The server does not count this process as this instance any more. */
  const lost = (error: WireError): void => {
    if (closed) return
    registered = false
    lease.lose()
    incarnation = options.newId()
    if (error.code === 'instance-taken') {
      // Going on under the same id would hide one of two processes from the gate, or make them throw each
      // other out for ever. An id of its own keeps both counted.
      const before = identity.instance
      identity.instance = `${before.split('~')[0]}~${incarnation.slice(0, 8)}`
      log.error('another process registered with the id of this instance', {
        id: before,
        now: identity.instance,
      })
    } else {
      log.warn('the server has forgotten this instance; it registers again', { reason: error.message })
    }
    void register()
  }

  const heartbeat = async (everyMs: number): Promise<void> => {
    const sentAt = clock.now()
    if (registered) {
      arm('heartbeat', everyMs, () => void heartbeat(everyMs))
      const answer = await ask('heartbeat', beat(), readHeartbeat, everyMs)
      if (answer.ok && lease.expired() && options.onLeaseExpired === 'stop') {
        // While the lease was over the fleet may have gone on without this instance: it comes back with the
        // state of now, and not with the one that it holds.
        void register()
      } else if (answer.ok) {
        lease.renew(sentAt, answer.value.leaseMs)
        if (answer.value.revision > state.current.revision) void sync()
      } else if (LOST.has(answer.error.code)) lost(answer.error)
    }
  }

  const beat = (): { revision: number; positions: Record<string, Position> } => ({
    revision: Math.max(0, state.current.revision),
    positions: options.positions(),
  })

  const progress = (): void => {
    if (!registered) return
    if (reporting) {
      reportAgain = true
      return
    }
    reporting = true
    void ask('progress', beat(), readNull).then((answer) => {
      reporting = false
      if (!answer.ok && LOST.has(answer.error.code)) lost(answer.error)
      // A report that failed is made good by the next heartbeat.
      if (!reportAgain) return
      reportAgain = false
      progress()
    })
  }

  const sync = (): Promise<void> => {
    syncing ??= ask('sync', undefined, readSnapshot).then((answer) => {
      syncing = undefined
      if (closed) return
      if (answer.ok) state.snapshot(answer.value)
      else log.warn('resync failed', { code: answer.error.code, reason: answer.error.message })
    })
    return syncing
  }

  const resyncLater = (): void =>
    arm('resync', RESYNC_MS * (0.75 + random() / 2), () => {
      resyncLater()
      if (registered) void sync()
    })

  const change = (body: unknown): void => {
    const parsed = changeSchema.safeParse(body)
    if (!parsed.success) {
      state.badMessages++
      log.error('a change is not readable; everything is fetched instead', { reason: parsed.error.message })
      void sync()
    } else if (state.change(parsed.data) === 'gap') void sync()
    // What the server refused under another phase may be right under this one.
    if (!registered && !timers.has('register')) void register()
  }

  return {
    get connected() {
      return link.connected
    },
    get registered() {
      return registered
    },
    open: () =>
      link.open({
        connected: () => void register(),
        disconnected: (reason) => {
          registered = false
          disarm()
          log.warn('disconnected', { reason })
          listener.disconnected()
        },
        failed: (refusal: LinkRefusal) => {
          if (refusal.retryable) return
          log.error('the server does not take the connection', {
            code: refusal.code,
            reason: refusal.message,
          })
          const isToken = refusal.code === 'unauthorized' || refusal.code === 'forbidden'
          const unauthorized = new SwitchbackError(
            isToken ? 'unauthorized' : 'refused',
            `${refusal.code}: ${refusal.message}`,
            {
              retryable: false,
            },
          )
          registrations.refused(registrations.declared, unauthorized)
          listener.refused(unauthorized)
        },
        change,
        dismissed: (body) => {
          const answer = readNull({ ok: false, error: body })
          if (!answer.ok) lost(answer.error)
        },
      }),
    declare: () => {
      const known = registrations.declare()
      // Several declarations in one go are one message.
      queueMicrotask(() => void register())
      return known
    },
    ready: () => registrations.ready(),
    sync,
    progress,
    telemetry: async (batch) => registered && (await ask('telemetry', batch, readNull)).ok,
    goodbye: async () => {
      if (registered) await ask('goodbye', beat(), readNull, 2_000)
    },
    close: () => {
      closed = true
      registered = false
      disarm()
      registrations.refused(
        registrations.declared,
        new SwitchbackError('closed', 'the client is closed', { retryable: false }),
      )
      link.close()
    },
  }
}
