import { randomBytes } from 'node:crypto'
import type { MigrationDefinition, Registration } from '@switchback/migrations-registry'
import { PROTOCOL, parseDefinition } from '@switchback/migrations-registry'
import type { Express } from 'express'
import { pino } from 'pino'
import type { AlertInbox } from '../alerts/alert-inbox.ts'
import { createAlertInbox } from '../alerts/alert-inbox.ts'
import { createReplay } from '../alerts/dead-letters.ts'
import { createAudit } from '../audit/audit.ts'
import { composeNotices } from '../compose/compose-notices.ts'
import { composeSignOn } from '../compose/compose-sign-on.ts'
import type { SignOnSettings } from '../config/sign-on-settings.ts'
import type { DataRoutesDeps } from '../data-view/data-routes.ts'
import type { Db } from '../db/db.ts'
import { worksOf } from '../engine/works-store.ts'
import { createFlags } from '../flags/flags.ts'
import { createFleet } from '../fleet/fleet.ts'
import type { Fleet } from '../fleet/fleet-port.ts'
import { createHealth } from '../health/health.ts'
import { storeChecks } from '../health/store-checks.ts'
import type { Incidents } from '../incidents/incidents.ts'
import { createIncidents } from '../incidents/incidents.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { createMetrics } from '../metrics/metrics.ts'
import type { Notifier } from '../notifications/notifier.ts'
import { createPhaseService } from '../phases/create-phase-service.ts'
import { createPhaseStore } from '../phases/create-phase-store.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { createWaitingRoom } from '../polling/waiting-room.ts'
import { createSnapshots } from '../push/snapshots.ts'
import { createReceivers } from '../receivers/receivers.ts'
import type { AskSns } from '../receivers/sns.ts'
import { createSecretBox } from '../secrets/secret-box.ts'
import type { Sources } from '../sources/sources.ts'
import { createSources } from '../sources/sources.ts'
import type { TimingRoutesDeps } from '../timing/timing-routes.ts'
import type { Role } from '../tokens/permissions.ts'
import type { NewToken, Tokens } from '../tokens/tokens.ts'
import { createTokens } from '../tokens/tokens.ts'
import { endBreach, openBreaches } from '../tripwires/breach-store.ts'
import { countLive } from '../tripwires/live-instances.ts'
import { createMonitor, type Monitor } from '../tripwires/monitor.ts'
import { createRespond } from '../tripwires/respond.ts'
import { apiRoutes } from './api-routes.ts'
import type { CopyRoutesDeps } from './copy-routes.ts'
import { createApp } from './create-app.ts'
import type { DriftRoutesDeps } from './drift-routes.ts'

/** A whole server side of the API on a store, for tests; as main wires it, without target and sockets. */
export interface TestApi {
  readonly app: Express
  readonly phases: PhaseService
  readonly fleet: Fleet
  readonly inbox: AlertInbox
  readonly incidents: Incidents
  readonly monitor: Monitor
  readonly metrics: Metrics
  readonly tokens: Tokens
  readonly sources: Sources
  readonly notifier: Notifier
  /** Lines that were logged so far. */
  readonly logged: string[]
  /** Faults that the inbox met. */
  readonly faults: unknown[]
  now(): number
  passTime(ms: number): void
  token(role: Role, more?: Partial<NewToken>): Promise<string>
  /** Registers a migration of these definition lines and takes it to `ramp`. */
  ramped(id: string, more?: string): Promise<void>
  registered(id: string, more?: string): Promise<void>
  stop(): Promise<void>
}

export const yamlOf = (id: string, more = ''): string =>
  `id: ${id}\ntitle: Test of ${id}\ncopy:\n  from: a\n  to: b\n  key: { id: id }\n  columns: { x: x }\n${more}`

export interface TestApiOptions {
  readonly name?: string
  /** A service in place of the real one, made from it; for faults that cannot be had otherwise. */
  readonly wrapPhases?: (phases: PhaseService) => PhaseService
  /** What stands for SNS. */
  readonly askSns?: AskSns
  readonly secretKey?: string
  /** How people sign in who have no token. */
  readonly signOn?: SignOnSettings
  /** Rows that a backfill left out. */
  readonly failedRows?: CopyRoutesDeps['failedRows']
  readonly stepMissing?: (definition: MigrationDefinition) => Promise<string | undefined>
  readonly copiedRanges?: CopyRoutesDeps['copiedRanges']
  /** The target, for what looks at it. */
  readonly databasesOf?: DataRoutesDeps['databasesOf']
  readonly timing?: TimingRoutesDeps['timing']
  /** Whether targets do not answer. */
  readonly targetAway?: () => boolean
  readonly onDead?: (alert: string) => void
  /** The database work of targets. */
  readonly schemaOf?: DriftRoutesDeps['schemaOf']
}

export function testApi(db: Db, options: TestApiOptions = {}): TestApi {
  const logged: string[] = []
  const faults: unknown[] = []
  let offset = 0
  const clock = (): number => Date.now() + offset
  const newId = (prefix: string): string => `${prefix}_${randomBytes(9).toString('base64url')}`
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const listeners = new Set<() => void>()
  const announce = (): void => {
    for (const listener of listeners) listener()
  }
  const fleet = createFleet({ db, clock, server: options.name ?? 'test', log })
  const incidents = createIncidents({ db, clock, fleet })
  const real = createPhaseService({
    store: createPhaseStore(db, fleet, incidents),
    clock,
    newId,
    target: {
      repairs: async () => ({ old: 0, new: 0 }),
      failedRows: async () => 0,
      passFence: async () => [],
      remember: async () => ({ answered: options.targetAway?.() !== true }),
    },
    announce,
  })
  const phases = options.wrapPhases?.(real) ?? real
  const metrics = createMetrics({ db, clock })
  const inbox = createAlertInbox({
    db,
    clock,
    newId,
    phases,
    incidents,
    onDecided: metrics.alertDecided,
    onFault: (error) => void faults.push(error),
    ...(options.onDead === undefined ? {} : { onDead: options.onDead }),
    intervalMs: 60_000,
  })
  const tokens = createTokens({ db, clock, newId, randomBytes })
  const askSns = options.askSns ?? (() => Promise.reject(new Error('there is no SNS here')))
  const box = createSecretBox(Buffer.from(options.secretKey ?? 'a key for tests only'))
  const signOn =
    options.signOn === undefined
      ? undefined
      : composeSignOn({ db, clock, newId, box, settings: options.signOn, announce, log })
  const notices = composeNotices({
    db,
    clock,
    newId,
    box,
    phases,
    config: { notifyHttpHosts: [], publicUrl: 'https://switchback.example' },
    onFault: (error) => void faults.push(error),
  })
  const sources = createSources({
    db,
    clock,
    newId,
    randomBytes,
    box,
    receivers: createReceivers(askSns),
  })
  const waitingRoom = createWaitingRoom((listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  })
  const monitor = createMonitor({
    phases,
    clock,
    respond: createRespond({ db, clock, newId, phases, incidents, announce }),
    countLive: () => countLive(db),
    database: { read: async () => {}, of: () => ({}) },
    breaches: { open: () => openBreaches(db), end: (...breach) => endBreach(db, ...breach) },
    onFault: (error) => void faults.push(error),
  })
  const routes = apiRoutes({
    monitor,
    db,
    clock,
    newId,
    phases,
    fleet,
    incidents,
    works: (migration) => worksOf(db, migration),
    failedRows: options.failedRows ?? (async () => []),
    schemaOf: options.schemaOf ?? (() => ({ schema: async () => [], acceptSchema: async () => undefined })),
    stepMissing: options.stepMissing ?? (async () => undefined),
    copiedRanges: options.copiedRanges ?? (async () => []),
    databasesOf:
      options.databasesOf ??
      (() => {
        throw new Error('there is no target here')
      }),
    timing: options.timing ?? {},
    announce,
    targetNames: ['main'],
    flags: createFlags({ db, clock, announce }),
    snapshots: createSnapshots({ db }),
    inbox,
    replay: createReplay({ db, clock, newId, inbox, sources }),
    sources,
    channels: notices.channels,
    repairs: async () => ({ old: 0, new: 0 }),
    audit: createAudit({ db }),
    tokens,
    waitingRoom,
    telemetry: metrics.telemetry,
    ...(signOn === undefined ? {} : { people: signOn.people }),
  })
  const health = createHealth({ checks: storeChecks(db), clock, timeoutMs: 10_000 })
  const hooks = { db, sources, inbox, askSns }
  const app = createApp({
    ...{ routes, tokens, health, hooks, metrics, log, clock, newId },
    ...(signOn === undefined ? {} : { signOn }),
  })
  const actor = { name: 'test' }

  async function registered(id: string, more?: string): Promise<void> {
    const source = yamlOf(id, more)
    const parsed = parseDefinition(source, 'migration.yaml')
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    const sql = { expand: 'create table b ()', rollback: 'drop table b', contract: 'drop table a' }
    const result = await phases.register({ definition: parsed.definition, sql, source }, actor)
    // As the engine does, which is not here.
    if (result.ok) await phases.compare(result.migration)
  }

  return {
    app,
    phases,
    fleet,
    inbox,
    incidents,
    monitor,
    metrics,
    tokens,
    sources,
    notifier: notices.notifier,
    logged,
    faults,
    now: clock,
    passTime: (ms) => {
      offset += ms
    },
    token: async (role, more) =>
      (await tokens.create({ name: `a ${role}`, role, ...more }, { name: 'test' })).text,
    registered,
    ramped: async (id, more) => {
      await registered(id, more)
      for (let step = 0; step < 20; step++) {
        const migration = await phases.get(id)
        if (migration === undefined) throw new Error(`${id} is gone`)
        if (migration.state.phase === 'ramp') return
        const { work } = migration.state
        const result =
          work !== undefined && work.status !== 'done'
            ? await phases.command(
                id,
                { type: 'work-done', kind: work.kind, epoch: work.epoch, divergences: 0 },
                actor,
              )
            : await phases.command(id, { type: 'advance' }, actor)
        if (!result.ok) throw new Error(JSON.stringify(result))
      }
      throw new Error(`${id} never came to ramp`)
    },
    stop: async () => {
      waitingRoom.close()
      await monitor.stop()
      await inbox.stop()
      await notices.notifier.stop()
      await fleet.stop()
    },
  }
}

/** The registration of an instance that has all handlers of one migration. */
export const registrationOf = (instance: string, migration: string): Registration => ({
  protocol: PROTOCOL,
  instance,
  incarnation: `${instance}-1`,
  app: 'rides-api',
  version: '1.0.0',
  onLeaseExpired: 'hold',
  migrations: { [migration]: { handlers: ['old', 'new'], fenced: true } },
  positions: {},
})
