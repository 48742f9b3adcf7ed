import type { SignalAction, SignalReason, Telemetry } from '@switchback/migrations-registry'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Clock } from '../db/clock.ts'
import type { Queryable } from '../db/db.ts'
import { readStats } from '../review/stats.ts'
import { createSdkMetrics } from './sdk-metrics.ts'
import { readStoreFigures } from './store-figures.ts'

export interface Metrics {
  readonly contentType: string
  /** All metrics as Prometheus reads them; never fails because the store is away. */
  render(): Promise<string>
  request(sample: { method: string; route: string; status: number; seconds: number }): void
  alertDecided(decision: { action: SignalAction; reason: SignalReason }): void
  /** What instances measured; a port for whoever receives it. */
  telemetry(batch: Telemetry): void
}

export interface MetricsDeps {
  readonly db: Queryable
  readonly clock: Clock
}

export function createMetrics({ db, clock }: MetricsDeps): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const sdk = createSdkMetrics(registry)
  const requests = new Histogram({
    name: 'switchback_http_request_seconds',
    help: 'Time from the arrival of a request to the end of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  })
  const alerts = new Counter({
    name: 'switchback_alerts_decided_total',
    help: 'Alerts that this server decided about, by what was done and why',
    labelNames: ['action', 'reason'],
    registers,
  })
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Gauge<Label>({ name, help, labelNames: [...labelNames], registers })
  const up = gauge('switchback_store_up', 'Whether the store answered when these figures were asked for', [])
  const migrations = gauge('switchback_migration_info', 'One per migration, by its phase', [
    'migration',
    'phase',
  ])
  const epochs = gauge('switchback_migration_epoch', 'Epoch of each migration', ['migration'])
  const latched = gauge('switchback_migration_latched', '1 where a revert waits for a re-arm', ['migration'])
  const compared = gauge(
    'switchback_migration_compared',
    '0 where the target has not answered since the store was started or restored: its epochs stand still',
    ['migration'],
  )
  const instances = gauge('switchback_instances', 'Registered instances by lease', ['app', 'lease'])
  const reverts = gauge('switchback_reverts', 'Reverts so far, by what caused them', ['migration', 'cause'])
  const rollback = gauge('switchback_time_to_rollback_seconds', 'From the first sign to the last instance', [
    'quantile',
  ])
  const success = gauge(
    'switchback_success_ratio',
    'Migrations completed, of those completed or reverted',
    [],
  )
  const downtime = gauge('switchback_failed_operations', 'Operations that failed on new while it served', [])
  const corruption = gauge('switchback_corruption_incidents', 'Incidents whose data was not right', [])
  const satisfaction = gauge('switchback_satisfaction', 'What people say of completed migrations, 1 to 5', [])
  const waiting = gauge('switchback_alerts_waiting', 'Alerts that were received and not decided yet', [])

  /** Figures of the store are the same on every server; they are read when they are asked for. */
  async function collect(): Promise<void> {
    const figures = await readStoreFigures(db, clock()).catch(() => undefined)
    up.set(figures === undefined ? 0 : 1)
    for (const each of [migrations, epochs, latched, compared, instances, reverts, waiting]) each.reset()
    if (figures === undefined) return
    for (const { id, phase, epoch, isLatched, isCompared } of figures.migrations) {
      migrations.set({ migration: id, phase }, 1)
      epochs.set({ migration: id }, epoch)
      latched.set({ migration: id }, isLatched ? 1 : 0)
      compared.set({ migration: id }, isCompared ? 1 : 0)
    }
    for (const { app, live, lapsed } of figures.instances) {
      instances.set({ app, lease: 'live' }, live)
      instances.set({ app, lease: 'lapsed' }, lapsed)
    }
    for (const { migration, cause, count } of figures.reverts) reverts.set({ migration, cause }, count)
    waiting.set(figures.alertsWaiting)
    const stats = await readStats(db).catch(() => undefined)
    if (stats === undefined) return
    const { timeToRollback } = stats.reverts
    if (timeToRollback !== undefined) {
      rollback.set({ quantile: '0.5' }, timeToRollback.p50 / 1000)
      rollback.set({ quantile: '0.99' }, timeToRollback.p99 / 1000)
      rollback.set({ quantile: '1' }, timeToRollback.max / 1000)
    }
    if (stats.migrations.successRate !== undefined) success.set(stats.migrations.successRate)
    downtime.set(stats.downtime.failed)
    corruption.set(stats.corruptionIncidents)
    if (stats.satisfaction.mean !== undefined) satisfaction.set(stats.satisfaction.mean)
  }

  return {
    contentType: registry.contentType,
    render: async () => {
      await collect()
      return registry.metrics()
    },
    request: ({ method, route, status, seconds }) => requests.observe({ method, route, status }, seconds),
    alertDecided: ({ action, reason }) => alerts.inc({ action, reason }),
    telemetry: sdk.record,
  }
}
