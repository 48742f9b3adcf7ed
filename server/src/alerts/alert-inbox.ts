import type { Signal } from '@switchback/migrations-registry'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db, Queryable } from '../db/db.ts'
import { isUnreachable } from '../db/store-error.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Incidents } from '../incidents/incidents.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import type { AlertOutcome, DecidedOutcome, Delivery, OpenAlert, Sender } from './alert-store.ts'
import { claimAlerts, insertAlerts, noteFailure, saveOutcomes } from './alert-store.ts'
import type { DecidedAlert } from './decide-alert.ts'
import { decideAlert } from './decide-alert.ts'

export interface AlertInbox {
  /** Keeps the signals and wakes the processing; resolves once they are kept. @throws HttpProblem `overloaded` */
  receive(signals: readonly Signal[], sender: Sender): Promise<readonly Delivery[]>
  /** Works off what is left to decide; resolves when nothing is, or what is left keeps failing. */
  process(): Promise<void>
  /** Looks from time to time for what a crashed server left behind. */
  start(): void
  /** Stops taking up alerts and waits for the one in hand. */
  stop(): Promise<void>
}

export interface AlertInboxDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly phases: Pick<PhaseService, 'get' | 'list' | 'command'>
  readonly incidents: Pick<Incidents, 'alerted'>
  readonly onDecided: (outcome: AlertOutcome) => void
  readonly onFault: (error: unknown, alert: string | undefined) => void
  /** An alert was given up; it waits to be replayed. */
  readonly onDead?: (alert: string, error: string) => void
  readonly intervalMs: number
}

/** Deliveries that may be on their way into the store at once; more would only wait for its connections. */
const MAX_DELIVERIES = 200
/** Alerts that are decided in one go: in a storm nearly all find the migration latched. */
const AT_ONCE = 100

/**
 * The way from a received alert to what is done about it. Receiving and deciding are apart: the sender gets
 * its answer at once, and what was received survives a crash of this server.
 */
export function createAlertInbox(deps: AlertInboxDeps): AlertInbox {
  const { db, clock, newId, phases, incidents, onDecided, onFault } = deps
  let stopped = false
  let running: Promise<void> | undefined
  let again = false
  let timer: NodeJS.Timeout | undefined
  let arriving = 0

  /** Decides some alerts while holding their rows, so that no other server takes them up. */
  async function processSome(failed: readonly string[]): Promise<boolean> {
    const done = await db.tx(async (tx) => {
      const alerts = await claimAlerts(tx, failed, clock(), AT_ONCE)
      const known = remembering(phases)
      const outcomes: DecidedOutcome[] = []
      for (const alert of alerts) {
        try {
          const decided = await decideAlert({ phases: known, clock }, alert)
          for (const each of decided) await tellIncident(tx, alert, each)
          const first = decided[0]
          if (first === undefined) throw new Error(`nothing was decided about ${alert.id}`)
          const explanation = decided.map(({ outcome }) => outcome.explanation).join(' ')
          outcomes.push({ ...first.outcome, explanation, id: alert.id, at: first.decidedAt })
        } catch (cause) {
          throw new AlertFault(alert.id, { cause })
        }
      }
      if (outcomes.length > 0) await saveOutcomes(tx, outcomes)
      return outcomes
    })
    for (const outcome of done) onDecided(outcome)
    return done.length > 0
  }

  async function tellIncident(tx: Queryable, alert: OpenAlert, decided: DecidedAlert): Promise<void> {
    const { outcome, decidedAt, committedAt } = decided
    if (outcome.incident === undefined) return
    const { name, source, summary, receivedAt, startedAt, link, labels, measured } = alert.signal
    await incidents.alerted(tx, {
      incident: outcome.incident,
      receivedAt,
      decidedAt,
      ...(committedAt === undefined ? {} : { committedAt }),
      alert: {
        id: alert.id,
        name,
        source,
        startedAt,
        labels,
        ...(summary === undefined ? {} : { summary }),
        ...(link === undefined ? {} : { link }),
        ...(measured === undefined ? {} : { measured }),
      },
      explanation: outcome.explanation,
    })
  }

  async function processAll(): Promise<void> {
    do {
      again = false
      // One alert that cannot be processed must not keep those behind it from reverting.
      const failed: string[] = []
      for (;;) {
        if (stopped) return
        try {
          if (!(await processSome(failed))) break
        } catch (error) {
          const alert = error instanceof AlertFault ? error.alert : undefined
          onFault(error instanceof AlertFault ? error.cause : error, alert)
          if (alert === undefined) return
          failed.push(alert)
          await noteFault(alert, error instanceof Error ? error.cause : error)
        }
      }
    } while (again)
  }

  /** A store that is away says nothing about the alert. */
  async function noteFault(alert: string, cause: unknown): Promise<void> {
    if (isUnreachable(cause)) return
    const error = cause instanceof Error ? cause.message : String(cause)
    try {
      if (await noteFailure(db, alert, error, clock())) deps.onDead?.(alert, error)
    } catch (fault) {
      onFault(fault, alert)
    }
  }

  function process(): Promise<void> {
    again = true
    running ??= Promise.resolve()
      .then(processAll)
      .finally(() => {
        running = undefined
        // Somebody asked after the last look, and before this was over.
        if (again && !stopped) void process()
      })
    return running
  }

  return {
    receive: async (signals, sender) => {
      if (arriving >= MAX_DELIVERIES) throw overloaded()
      arriving++
      try {
        const alerts = signals.map((signal) => ({ id: newId('alr'), signal }))
        return await insertAlerts(db, alerts, sender)
      } finally {
        arriving--
        void process()
      }
    },
    process,
    start: () => {
      timer ??= setInterval(() => void process(), deps.intervalMs).unref()
      void process()
    },
    stop: async () => {
      stopped = true
      clearInterval(timer)
      await running
    },
  }
}

/** 503 and not 429: Alertmanager gives up on every 4xx, and an alert that resolves meanwhile is never delivered. */
export const overloaded = (): HttpProblem =>
  new HttpProblem('overloaded', 'More deliveries arrive than can be kept at the moment.', {
    action: 'Send it again; nothing of it was lost, and the same again is no second alert.',
    headers: { 'Retry-After': '2' },
  })

/**
 * Reads each migration once for alerts that were received before: what is read after their receipt is not too
 * old for them. After a change everything is read anew.
 */
function remembering(phases: AlertInboxDeps['phases']): AlertInboxDeps['phases'] {
  const known = new Map<string, ReturnType<PhaseService['get']>>()
  let all: ReturnType<PhaseService['list']> | undefined
  return {
    get: (id) => {
      const found = known.get(id) ?? phases.get(id)
      known.set(id, found)
      return found
    },
    list: () => {
      all ??= phases.list()
      return all
    },
    command: (...command) => {
      known.clear()
      all = undefined
      return phases.command(...command)
    },
  }
}

class AlertFault extends Error {
  readonly alert: string

  constructor(alert: string, options: ErrorOptions) {
    super(`alert ${alert} could not be processed`, options)
    this.alert = alert
  }
}
