import type { Position, Registration } from '@switchback/migrations-registry'
import { evaluateFlag } from '@switchback/migrations-registry'
import { settlesWithin } from '../clock.ts'
import { SwitchbackError } from '../error.ts'
import type { Link } from '../link/link.ts'
import { createMigration, runtimeOptionsOf, type UntypedOptions } from '../routing/create-migration.ts'
import { manifestOf } from '../routing/describe-handlers.ts'
import { MigrationRuntime } from '../routing/migration-runtime.ts'
import { runTransaction } from '../routing/routed-transaction.ts'
import type { RouterEnv } from '../routing/router-env.ts'
import { createLease } from '../session/lease.ts'
import { createSession, type Session } from '../session/session.ts'
import { type ClientState, snapshotOf } from '../state/client-state.ts'
import { createStateFile } from '../state/state-file.ts'
import { createStateHolder } from '../state/state-holder.ts'
import { createFlushSchedule, type FlushSchedule } from '../telemetry/flush-schedule.ts'
import { exposition } from '../telemetry/prometheus.ts'
import { createRecorder } from '../telemetry/recorder.ts'
import type { TransactionPort } from '../transaction/transaction-port.ts'
import type { ClientListener, Switchback } from './client.ts'
import { flagKeysOf } from './flag-keys.ts'
import type { Settings } from './options.ts'

/** How long a write that the fence refused waits to hear of the epoch that passed its own. */
const NEWER_TIMEOUT_MS = 3_000

export interface Started {
  readonly client: Switchback
  /** Resolves with the first registration, rejects with a refusal that trying again cannot help. */
  readonly first: Promise<void>
}

/** What a client has of the world around it, apart from clock and randomness. */
export interface ClientParts {
  readonly link: Link
  /** A text that no other process ever makes. */
  readonly newId: () => string
}

/** Wires the parts of a client and begins to connect. */
export async function createClient(settings: Settings, parts: ClientParts): Promise<Started> {
  const { clock, random, log } = settings
  const identity = { instance: settings.instance }
  const runtimes = new Map<string, MigrationRuntime>()
  const listeners = new Set<ClientListener>()
  let flushes: FlushSchedule | undefined
  const recorder = createRecorder(() => flushes?.hurry())
  const lease = createLease(clock)
  const file = settings.stateFile === undefined ? undefined : createStateFile(settings.stateFile, log)
  let aliases = new Map<string, string>()
  let closing: Promise<void> | undefined
  let flushing = false

  const changed = (state: ClientState, migrations: readonly string[], flags: readonly string[]): void => {
    for (const id of migrations) {
      const config = state.migrations.get(id)
      // A migration that the server knows no more keeps its last routing here: the default would be old.
      if (config !== undefined) runtimes.get(id)?.apply(config)
    }
    aliases = new Map(
      [...state.migrations.values()].flatMap(({ id, alias }) => (alias === undefined ? [] : [[alias, id]])),
    )
    if (migrations.length + flags.length === 0) return
    file?.save(snapshotOf(state))
    const keys = flagKeysOf(state, migrations, flags)
    for (const listener of listeners) listener.changed?.(keys)
  }
  const state = createStateHolder(log, { changed })

  const positions = (): Record<string, Position> =>
    Object.fromEntries([...runtimes.values()].map(({ id, ledger }) => [id, ledger.position(clock.now())]))

  let settleFirst: { resolve: () => void; reject: (error: Error) => void } | undefined
  const first = new Promise<void>((resolve, reject) => {
    settleFirst = { resolve, reject }
  })
  first.catch(() => undefined)
  const told = (connected: boolean): void => {
    for (const listener of listeners) listener.connection?.(connected)
  }

  const session: Session = createSession({
    link: parts.link,
    clock,
    random,
    newId: parts.newId,
    log,
    state,
    lease,
    app: settings.app,
    version: settings.version,
    identity,
    onLeaseExpired: settings.onLeaseExpired,
    positions,
    migrations: (): Registration['migrations'] =>
      Object.fromEntries(
        [...runtimes.values()].map(({ id, paths, fenced }) => [id, { handlers: [...paths], fenced }]),
      ),
    listener: {
      registered: () => {
        settleFirst?.resolve()
        told(true)
      },
      undeclared: () => {
        settleFirst?.resolve()
        told(true)
      },
      disconnected: () => told(false),
      refused: (error) => settleFirst?.reject(error),
    },
  })

  const env: RouterEnv = {
    get instance() {
      return identity.instance
    },
    clock,
    random,
    log,
    recorder,
    lease: settings.onLeaseExpired === 'stop' ? lease : undefined,
    newer: async (migration, epoch) => {
      const runtime = runtimes.get(migration)
      if (runtime === undefined) return false
      const { reached, abandon } = runtime.newerThan(epoch)
      void session.sync()
      const done = await settlesWithin(clock, reached, NEWER_TIMEOUT_MS)
      abandon()
      return done
    },
  }

  const flush = async (): Promise<void> => {
    // While a batch is under way the counts add up where they are.
    if (flushing) return
    flushing = true
    const batch = recorder.take()
    if (batch !== undefined && !(await session.telemetry(batch))) recorder.dropped(batch)
    flushing = false
  }

  /** Holds the operations of a new migration until the server knows of it, or cannot be reached. */
  const admit = (runtime: MigrationRuntime): void => {
    const { settled, accepted } = session.declare()
    settled.catch(() => undefined)
    if (!session.connected) return
    const gate = settlesWithin(clock, settled, settings.startTimeout).then((inTime) => {
      if (inTime) return settled
      log.warn('not registered in time; going on with what is held', { migration: runtime.id })
      return open()
    })
    const open = (): void => {
      if (runtime.gate === gate) runtime.gate = undefined
    }
    gate.catch(() => undefined)
    runtime.gate = gate
    // Also where a refusal came first, and was lifted later.
    void accepted.then(open)
  }

  const close = async (): Promise<void> => {
    flushes?.stop()
    const shut = Promise.reject(new SwitchbackError('closed', 'the client is closed', { retryable: false }))
    shut.catch(() => undefined)
    for (const runtime of runtimes.values()) runtime.gate = shut
    const idle = Promise.all([...runtimes.values()].map((runtime) => runtime.ledger.untilIdle()))
    const drained = await settlesWithin(clock, idle, settings.closeTimeout)
    await flush()
    // With something still in flight goodbye would be a lie: the lease runs out instead.
    if (drained) await session.goodbye()
    else log.warn('closed with operations in flight', { positions: positions() })
    session.close()
    await file?.settled()
  }

  const client: Switchback = {
    get instance() {
      return identity.instance
    },
    migration: (id, options) => {
      if (closing !== undefined)
        throw new SwitchbackError('closed', 'the client is closed', { retryable: false })
      if (runtimes.has(id)) {
        throw new SwitchbackError('bad-options', `migration ${id} is declared already`, { retryable: false })
      }
      const untyped = options as unknown as UntypedOptions
      const runtime = new MigrationRuntime(id, runtimeOptionsOf(untyped), env, () => session.progress())
      runtimes.set(id, runtime)
      const config = state.current.migrations.get(id)
      if (config !== undefined) runtime.apply(config)
      admit(runtime)
      return createMigration(env, runtime) as unknown as ReturnType<Switchback['migration']> as never
    },
    transaction: (port, work) =>
      closing === undefined
        ? runTransaction(env, port as TransactionPort<unknown>, (open) => work(open as never))
        : Promise.reject(new SwitchbackError('closed', 'the client is closed', { retryable: false })),
    ready: () => session.ready(),
    evaluate: (key, context = {}) =>
      evaluateFlag(key, context, {
        flag: (name) => state.current.flags.get(name),
        migration: (id) => state.current.migrations.get(id),
        aliased: (alias) => state.current.migrations.get(aliases.get(alias) ?? ''),
        instance: identity.instance,
      }),
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    metrics: () =>
      exposition(recorder.totals(), {
        switchback_connected: session.registered ? 1 : 0,
        switchback_revision: state.current.revision,
        switchback_telemetry_dropped: recorder.droppedTotal,
      }),
    status: () => ({
      instance: identity.instance,
      connected: session.connected,
      registered: session.registered,
      revision: state.current.revision,
      positions: positions(),
      leaseLeftMs: lease.left(),
      dropped: {
        telemetry: recorder.droppedTotal,
        shadowReads: [...runtimes.values()].reduce((sum, runtime) => sum + runtime.shadowDropped, 0),
        badMessages: state.badMessages,
        olderStates: state.refusals,
      },
    }),
    manifest: () =>
      manifestOf(settings, new Map([...runtimes.values()].map(({ id, options }) => [id, options]))),
    close: () => {
      closing ??= close()
      return closing
    },
  }

  const kept = await file?.load()
  const newest =
    kept !== undefined && kept.revision >= (settings.bootstrap?.revision ?? -1) ? kept : settings.bootstrap
  if (newest !== undefined) state.snapshot(newest)
  session.open()
  flushes = createFlushSchedule(clock, () => void flush())
  return { client, first }
}
