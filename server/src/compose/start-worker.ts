import { hostname } from 'node:os'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { createFleet } from '../fleet/fleet.ts'
import { createIncidents } from '../incidents/incidents.ts'
import { createRevisions } from '../push/create-revisions.ts'
import { composeSignals, type Signals } from './compose-signals.ts'
import { composeWork } from './compose-work.ts'
import { createNewId } from './new-id.ts'
import { openStore } from './open-store.ts'
import { openTargets } from './open-targets.ts'
import { Shutdown } from './shutdown.ts'

/** Starts the engine alone, beside servers: for database work that should run near its target. */
export async function startWorker(config: Config, log: Logger): Promise<{ stop(): Promise<void> }> {
  if (config.databaseUrl === undefined) {
    throw new Error('a worker shares the store of its servers: set DATABASE_URL to the same as theirs')
  }
  const clock = Date.now
  const shutdown = new Shutdown(log)
  try {
    const { db, bundled, close } = await openStore(config, log)
    shutdown.add('store', close)
    const redis = config.redisUrl === undefined ? {} : { redisUrl: config.redisUrl }
    const revisions = await createRevisions({ db, log, ...redis, pollMs: config.pollMs })
    shutdown.add('revisions', () => revisions.stop())
    const fleet = createFleet({ db, clock, server: `${hostname()}:worker`, log })
    shutdown.add('fleet', () => fleet.stop())
    let signals: Signals | undefined
    const targets = await openTargets(config, bundled, clock, log, {
      latencyP99: async (migration) => signals?.monitor.latencyP99(migration),
      latencies: async (migration, since) => signals?.monitor.latencies(migration, since) ?? [],
    })
    shutdown.add('targets', () => targets.close())
    const newId = createNewId(clock)
    const incidents = createIncidents({ db, clock, fleet })
    const { phases, engine } = composeWork({
      db,
      clock,
      newId,
      fleet,
      reverts: incidents,
      holds: (migration) => signals?.monitor.holds(migration) ?? [],
      targets,
      timing: config.timing,
      announce: (revision) => revisions.announce(revision),
      onWorkProgress: () => {},
      log,
    })
    shutdown.add('engine', () => engine.stop())
    signals = composeSignals(
      { db, clock, newId, phases, incidents, revisions, config, targets, log },
      shutdown,
    )
    await signals.start()
    revisions.onRevision(() => engine.wake())
    engine.wake()
    log.info({}, 'the worker is ready')
    return { stop: () => shutdown.run() }
  } catch (error) {
    await shutdown.run()
    throw error
  }
}
