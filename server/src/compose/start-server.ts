import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Telemetry } from '@switchback/migrations-registry'
import type { Logger } from 'pino'
import { createAlertInbox } from '../alerts/alert-inbox.ts'
import { createReplay } from '../alerts/dead-letters.ts'
import { createReconciliation } from '../alerts/reconcile.ts'
import { createAudit } from '../audit/audit.ts'
import type { Config } from '../config/config.ts'
import { worksOf } from '../engine/works-store.ts'
import { createFlags } from '../flags/flags.ts'
import { createFleet } from '../fleet/fleet.ts'
import { createHealth } from '../health/health.ts'
import { storeChecks } from '../health/store-checks.ts'
import { apiRoutes } from '../http/api-routes.ts'
import { createApp } from '../http/create-app.ts'
import { createIncidents } from '../incidents/incidents.ts'
import { createMetrics } from '../metrics/metrics.ts'
import { createWaitingRoom } from '../polling/waiting-room.ts'
import { createRevisions } from '../push/create-revisions.ts'
import { createPush, type Push } from '../push/push.ts'
import { createSnapshots } from '../push/snapshots.ts'
import { askSns } from '../receivers/ask-sns.ts'
import { createReceivers } from '../receivers/receivers.ts'
import { createRetention } from '../retention/retention.ts'
import { createFailures } from '../review/failures.ts'
import { createSecretBox } from '../secrets/secret-box.ts'
import { loadSecretKey } from '../secrets/secret-key.ts'
import { createSources } from '../sources/sources.ts'
import { createHealthHistory } from '../telemetry/health-history.ts'
import { bootstrapAdmin } from '../tokens/bootstrap-admin.ts'
import { createTokens } from '../tokens/tokens.ts'
import { composeNotices } from './compose-notices.ts'
import { composeSignOn } from './compose-sign-on.ts'
import { composeSignals, type Signals } from './compose-signals.ts'
import { composeWork } from './compose-work.ts'
import { createNewId } from './new-id.ts'
import { openStore } from './open-store.ts'
import { openTargets } from './open-targets.ts'
import { registerFolder } from './register-folder.ts'
import { Shutdown } from './shutdown.ts'

export interface RunningServer {
  readonly url: string
  /** Stops taking requests, ends work at a safe point, and closes what was opened; in this order. */
  stop(): Promise<void>
}

/** How long the targets are waited for before instances are let in. */
const FIRST_LOOK_MS = 5_000
const ALERT_LOOK_MS = 1000
const FAILURES_MS = 10_000
const RETENTION_MS = 3_600_000
const HISTORY_MS = 5_000
const READY_TIMEOUT_MS = 2000
const SWEEP_MS = 50
/** A fleet that comes back knocks all at once; the system may allow less. */
const BACKLOG = 4096

/** Starts a server: the store, the fleet, the engine, the API and the sockets. */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  const clock = Date.now
  const newId = createNewId(clock)
  const shutdown = new Shutdown(log)
  try {
    const { db, bundled, close } = await openStore(config, log)
    shutdown.add('store', close)
    const revisions = await createRevisions({
      db,
      log,
      ...(config.redisUrl === undefined ? {} : { redisUrl: config.redisUrl }),
      pollMs: config.pollMs,
    })
    shutdown.add('revisions', () => revisions.stop())
    const announce = (revision: number) => revisions.announce(revision)
    const tokens = createTokens({ db, clock, newId, randomBytes })
    const admin = await bootstrapAdmin({
      db,
      clock,
      tokens,
      dataDir: config.dataDir,
      ...(config.adminToken === undefined ? {} : { adminToken: config.adminToken }),
    })
    if (admin.kind === 'written') log.info({ file: admin.file }, 'an admin token was made')

    const { heartbeatMs, leaseMs } = config
    const server = `${hostname()}:${config.port}`
    const fleet = createFleet({ db, clock, server, log, heartbeatMs, leaseMs, announce })
    shutdown.add('fleet', () => fleet.stop())
    const incidents = createIncidents({ db, clock, fleet })
    let signals: Signals | undefined
    const targets = await openTargets(config, bundled, clock, log, {
      latencyP99: async (migration) => signals?.monitor.latencyP99(migration),
      latencies: async (migration, since) => signals?.monitor.latencies(migration, since) ?? [],
    })
    shutdown.add('targets', () => targets.close())
    let push: Push | undefined
    const { phases, engine, repairs } = composeWork({
      db,
      clock,
      newId,
      fleet,
      reverts: incidents,
      targets,
      timing: config.timing,
      announce,
      holds: (migration) => signals?.monitor.holds(migration) ?? [],
      onWorkProgress: (work, progress) => push?.progress({ ...work, progress }),
      log,
    })
    shutdown.add('engine', () => engine.stop())
    const metrics = createMetrics({ db, clock })
    signals = composeSignals(
      { db, clock, newId, phases, incidents, revisions, config, targets, log },
      shutdown,
    )
    const { monitor, exchange } = signals
    const failures = createFailures({
      db,
      phases,
      onFault: (error) => log.warn({ err: error }, 'failures could not be counted'),
      intervalMs: FAILURES_MS,
    })
    shutdown.add('failures', () => failures.stop())
    const history = createHealthHistory({
      db,
      clock,
      server: newId('srv'),
      onFault: (error) => log.warn({ err: error }, 'measurements could not be kept for charts; trying again'),
      intervalMs: HISTORY_MS,
    })
    shutdown.add('history', () => history.stop())
    const telemetry = (batch: Telemetry): void => {
      metrics.telemetry(batch)
      exchange.record(batch)
      failures.record(batch)
      history.record(batch)
    }
    const inbox = createAlertInbox({
      db,
      clock,
      newId,
      phases,
      incidents,
      onDecided: (outcome) => metrics.alertDecided(outcome),
      onFault: (error, alert) =>
        log.warn({ err: error, alert }, 'an alert could not be decided; trying again'),
      onDead: (alert, error) =>
        log.error({ alert, error }, 'an alert was given up; replay it once that is mended'),
      intervalMs: ALERT_LOOK_MS,
    })
    shutdown.add('alerts', () => inbox.stop())
    const reconciliation =
      config.alertmanagerUrl === undefined
        ? undefined
        : createReconciliation({
            db,
            clock,
            inbox,
            url: config.alertmanagerUrl,
            intervalMs: config.alertmanagerLookMs,
            onFault: (error) => log.warn({ err: error }, 'Alertmanager could not be asked'),
          })
    shutdown.add('reconciliation', async () => reconciliation?.stop())
    const retention = createRetention({
      db,
      clock,
      retention: config.retention,
      intervalMs: RETENTION_MS,
      onPruned: (removed) => log.info({ removed }, 'old records were removed'),
      onFault: (error) => log.warn({ err: error }, 'old records could not be removed; trying again'),
    })
    shutdown.add('retention', () => retention.stop())
    const box = createSecretBox(await loadSecretKey(config.dataDir, config.secretKey))
    const receivers = createReceivers(askSns)
    const sources = createSources({ db, clock, newId, randomBytes, box, receivers })
    const signOn =
      config.signOn === undefined
        ? undefined
        : composeSignOn({ db, clock, newId, box, settings: config.signOn, announce, log })
    const { channels, notifier } = composeNotices({
      db,
      clock,
      newId,
      box,
      phases,
      config,
      onFault: (error, during) => log.warn({ err: error, during }, `failed: ${during}`),
    })
    shutdown.add('notices', () => notifier.stop())
    revisions.onRevision(() => notifier.wake())
    const snapshots = createSnapshots({ db })
    const waitingRoom = createWaitingRoom((listener) => revisions.onRevision(listener))
    const routes = apiRoutes({
      db,
      clock,
      newId,
      phases,
      fleet,
      incidents,
      tokens,
      inbox,
      replay: createReplay({ db, clock, newId, inbox, sources }),
      sources,
      repairs,
      channels,
      snapshots,
      works: (migration) => worksOf(db, migration),
      databasesOf: targets.databasesOf,
      timing: config.timing,
      targetNames: Object.keys(config.targets),
      announce,
      schemaOf: (definition) => targets.executionFor(definition),
      failedRows: (definition, page) => targets.executionFor(definition).listFailedRows(definition.id, page),
      stepMissing: (definition) => targets.stepMissing(definition),
      copiedRanges: (definition) => targets.executionFor(definition).listRanges(definition.id),
      flags: createFlags({ db, clock, announce }),
      audit: createAudit({ db }),
      waitingRoom,
      telemetry,
      monitor,
      ...(signOn === undefined ? {} : { people: signOn.people }),
    })
    const health = createHealth({ checks: storeChecks(db), clock, timeoutMs: READY_TIMEOUT_MS })
    const hooks = { db, sources, inbox, askSns }
    const app = createApp({
      routes,
      tokens,
      health,
      hooks,
      metrics,
      log,
      clock,
      newId,
      ...(signOn === undefined ? {} : { signOn }),
    })
    const httpServer = createServer(app)
    // Closed after the push: its sockets are connections of this server too.
    shutdown.add('http', async () => {
      if (!httpServer.listening) return
      httpServer.close()
      // A connection that is kept alive is idle between two requests only, and those may never end.
      const sweep = setInterval(() => httpServer.closeIdleConnections(), SWEEP_MS)
      httpServer.closeIdleConnections()
      await once(httpServer, 'close')
      clearInterval(sweep)
    })
    push = await createPush({
      httpServer,
      db,
      auth: (token) => tokens.authenticate(token),
      ...(signOn === undefined ? {} : { sessions: signOn.socketDoor }),
      fleet,
      snapshots,
      revisions,
      telemetry: (_instance, batch) => telemetry(batch),
      log,
    })
    const pushed = push
    shutdown.add('push', () => pushed.stop())
    shutdown.add('polling', async () => waitingRoom.close())
    revisions.onRevision(() => engine.wake())
    fleet.onProgress((migrations) => {
      engine.wake()
      push?.fleetMoved(migrations)
      incidents
        .observeProgress(migrations)
        .catch((error: unknown) => log.warn({ err: error }, 'acks of a revert could not be noted'))
    })
    if (config.migrationsDir !== undefined) await registerFolder(config.migrationsDir, phases, log)

    await Promise.race([engine.firstLook(), sleep(FIRST_LOOK_MS, undefined, { ref: false })])
    httpServer.listen({ port: config.port, host: config.host, backlog: BACKLOG })
    await once(httpServer, 'listening')
    inbox.start()
    notifier.start()
    reconciliation?.start()
    failures.start()
    retention.start()
    history.start()
    void signals.start()
    engine.wake()
    const address = httpServer.address()
    const port = typeof address === 'object' && address !== null ? address.port : config.port
    const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`
    log.info({ url }, 'the server is ready')
    return {
      url,
      stop: () => {
        health.stopping()
        return shutdown.run()
      },
    }
  } catch (error) {
    await shutdown.run()
    throw error
  }
}
