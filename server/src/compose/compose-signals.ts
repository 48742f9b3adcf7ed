import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/config.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import type { Incidents } from '../incidents/incidents.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import type { Revisions } from '../push/revisions.ts'
import { createHealthSeries, type HealthSeries } from '../telemetry/health-series.ts'
import { connectRedisTelemetry } from '../telemetry/redis-telemetry.ts'
import { createTelemetryExchange, type TelemetryExchange } from '../telemetry/telemetry-exchange.ts'
import { endBreach, openBreaches } from '../tripwires/breach-store.ts'
import { createDatabaseSignals } from '../tripwires/database-signals.ts'
import { countLive } from '../tripwires/live-instances.ts'
import { createMonitor, type Monitor } from '../tripwires/monitor.ts'
import { createRespond } from '../tripwires/respond.ts'
import { createVerifier } from '../verification/verifier.ts'
import type { Targets } from './open-targets.ts'
import type { ServerLog } from './server-log.ts'
import type { Shutdown } from './shutdown.ts'

export interface SignalsDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly phases: PhaseService
  readonly incidents: Incidents
  readonly revisions: Revisions
  readonly config: Pick<Config, 'redisUrl' | 'checkCommands'>
  readonly targets: Targets
  readonly log: ServerLog
}

export interface Signals {
  readonly monitor: Monitor
  readonly exchange: TelemetryExchange
  /** What was measured, kept for charts. */
  readonly series: HealthSeries
  start(): Promise<void>
}

/** What is measured, shared between servers, and the tripwires that watch it; the same in server and worker. */
export function composeSignals(deps: SignalsDeps, shutdown: Shutdown): Signals {
  const { db, clock, newId, phases, incidents, revisions, config, targets, log } = deps
  const announce = (revision: number) => revisions.announce(revision)
  const onFault = (error: unknown, during: string) => log.warn({ err: error, during }, `failed: ${during}`)
  const monitor = createMonitor({
    phases,
    clock,
    respond: createRespond({
      db,
      clock,
      newId,
      phases,
      incidents,
      announce,
    }),
    countLive: () => countLive(db),
    database: createDatabaseSignals({ clock, databasesOf: targets.databasesOf }),
    breaches: { open: () => openBreaches(db), end: (...breach) => endBreach(db, ...breach) },
    onFault,
  })
  const { redisUrl } = config
  const series = createHealthSeries()
  const exchange = createTelemetryExchange({
    db,
    clock,
    server: newId('srv'),
    onMeasurements: (measurements, at) => {
      monitor.take(measurements, at)
      series.take(measurements, at)
    },
    reach: monitor.reach,
    onFault: (error) => log.warn({ err: error }, 'measurements could not be shared; trying again'),
    ...(redisUrl === undefined ? {} : { quick: (onChunk) => connectRedisTelemetry(redisUrl, onChunk) }),
  })
  const verifier = createVerifier({
    db,
    clock,
    find: (migration) => phases.get(migration),
    inspectionFor: targets.inspectionFor,
    executionFor: targets.executionFor,
    recovery: monitor.recovery,
    live: monitor.live,
    commands: config.checkCommands,
    delay: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
    announce,
    onFault,
  })
  revisions.onRevision(() => monitor.changed())
  shutdown.add('verification', () => verifier.stop())
  shutdown.add('tripwires', () => monitor.stop())
  shutdown.add('telemetry', () => exchange.stop())
  return {
    monitor,
    exchange,
    series,
    start: async () => {
      await monitor.start()
      await exchange.start()
      verifier.start()
    },
  }
}
