import type { InstanceFacts, TripwireVerdict } from '@switchback/migrations-registry'
import { isLive, sentence } from '@switchback/migrations-registry'
import { recordChange } from '../changes/record-change.ts'
import type { Clock } from '../db/clock.ts'
import type { Db, Queryable } from '../db/db.ts'
import type { FleetReader } from '../fleet/fleet-port.ts'
import type { RevertRecorder } from '../phases/create-phase-store.ts'
import type { RevertRecord } from '../phases/phase-store.ts'
import type { Incident, IncidentEvent, IncidentFilter } from './incident-store.ts'
import {
  addEvent,
  awaitingAcks,
  findIncident,
  findRefused,
  insertIncident,
  listIncidents,
  resolveOpen,
  setAck,
  setAcknowledged,
  setAlerted,
  setBegan,
  timelineOf,
} from './incident-store.ts'

export interface IncidentDetail extends Incident {
  readonly timeline: readonly IncidentEvent[]
}

/** The alert behind a revert, as the inbox tells of it once the revert is committed. */
interface AlertedRevert {
  readonly incident: string
  readonly receivedAt: number
  readonly decidedAt: number
  readonly committedAt?: number
  readonly alert: {
    readonly id: string
    readonly name: string
    readonly source: string
    readonly summary?: string
    readonly startedAt?: number
    readonly link?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly measured?: unknown
  }
  readonly explanation: string
}

/** The tripwire behind a revert. */
interface TrippedRevert {
  readonly incident: string
  readonly seenAt: number
  readonly decidedAt: number
  readonly committedAt: number
  readonly verdict: Pick<TripwireVerdict, 'name' | 'explanation' | 'numbers'>
}

export interface Incidents extends RevertRecorder {
  list(filter: IncidentFilter): Promise<readonly Incident[]>
  get(id: string): Promise<IncidentDetail | undefined>
  /** Writes down which alert a revert came from; idempotent per incident. */
  alerted(tx: Queryable, revert: AlertedRevert): Promise<void>
  /** Writes down which tripwire a revert came from, with the numbers that it saw. */
  breached(tx: Queryable, revert: TrippedRevert): Promise<void>
  /** Notes that somebody sees to it: nobody further is called. */
  acknowledge(id: string, by: string): Promise<'acknowledged' | 'already' | 'unknown'>
  /** Called when positions were stored: notes the first and the last ack of reverts that wait for them. */
  observeProgress(migrations: readonly string[]): Promise<void>
}

export interface IncidentsDeps {
  readonly db: Db
  readonly clock: Clock
  readonly fleet: FleetReader
}

export function createIncidents({ db, clock, fleet }: IncidentsDeps): Incidents {
  async function observe(migrations: readonly string[]): Promise<void> {
    const at = clock()
    for (const waiting of await awaitingAcks(db, migrations)) {
      const instances = await fleet.factsFor(db, waiting.migration, [])
      const live = instances.filter((instance) => instance.handlers.length > 0 && isLive(instance, at))
      const acked = live.filter((instance) => instance.applied >= waiting.to_epoch)
      const count = `${acked.length} of ${live.length} live instances`
      if (acked.length === 0) continue
      await db.tx(async (tx) => {
        if (waiting.first && (await setAck(tx, waiting.id, 'first_ack_at', earliest(acked, at)))) {
          const message = `First acknowledgement of epoch ${waiting.to_epoch}: ${count}.`
          await addEvent(tx, waiting.id, { at: earliest(acked, at), kind: 'first-ack', message, detail: {} })
        }
        if (acked.length < live.length) return
        const last = latest(acked, at)
        if (await setAck(tx, waiting.id, 'last_ack_at', last)) {
          const message = `Every live instance has applied epoch ${waiting.to_epoch}: ${count}.`
          const detail = { instances: acked.map((instance) => instance.id) }
          await addEvent(tx, waiting.id, { at: last, kind: 'last-ack', message, detail })
        }
      })
    }
  }
  const observeProgress = coalesce(observe)

  return {
    list: (filter) => listIncidents(db, filter),
    get: async (id) => {
      const incident = await findIncident(db, id)
      return incident === undefined ? undefined : { ...incident, timeline: await timelineOf(db, id) }
    },
    opened: async (tx, revert) => {
      const committedAt = clock()
      const { incident: id, migration, cause, from, to, at } = revert
      await insertIncident(tx, {
        id,
        migration,
        kind: 'revert',
        title: titleOf(revert),
        cause,
        from,
        to,
        openedAt: at,
        committedAt,
      })
      const moved = to.epoch > from.epoch
      const message = moved
        ? `${from.phase} (epoch ${from.epoch}) to ${to.phase} (epoch ${to.epoch}), by ${cause.by}: ${cause.reason}`
        : `Asked for at ${from.phase} (epoch ${from.epoch}), by ${cause.by}: ${sentence(cause.reason)} The flags stay for now.`
      await addEvent(tx, id, {
        at: committedAt,
        kind: moved ? 'reverted' : 'asked',
        message,
        detail: { from, to },
      })
    },
    refused: async (tx, { incident, migration, cause, from, at, refusal }) => {
      const title = `${migration} could not be reverted from ${from.phase}: ${cause.reason}`.slice(0, 300)
      const opened = {
        id: incident,
        migration,
        kind: 'refused',
        title,
        cause,
        from,
        to: from,
        openedAt: at,
      } as const
      if (!(await insertIncident(tx, opened))) {
        return { id: (await findRefused(tx, migration, from.epoch)) ?? incident, isNew: false }
      }
      const message = `Refused: ${refusal.message} The safe way: ${refusal.action}`
      await addEvent(tx, incident, {
        at,
        kind: 'revert-refused',
        message,
        detail: { ...refusal, page: true },
      })
      return { id: incident, isNew: true }
    },
    noted: async (tx, incident, at, kind, message) => {
      await addEvent(tx, incident, { at, kind, message, detail: {} })
      if (kind !== 'rearmed') return
      const migration = (await findIncident(tx, incident))?.migration
      if (migration === undefined) return
      // A revert on top of a latch has an incident of its own; whoever re-arms is done with all of them.
      for (const id of await resolveOpen(tx, migration, at)) {
        if (id !== incident) await addEvent(tx, id, { at, kind, message, detail: {} })
      }
    },
    alerted: async (tx, revert) => {
      const known = await findIncident(tx, revert.incident)
      if (known === undefined || known.alertedAt !== undefined) return
      const { incident: id, alert, receivedAt, decidedAt, explanation } = revert
      await setAlerted(tx, id, receivedAt, revert.committedAt)
      const { startedAt, link, labels, measured } = alert
      if (startedAt !== undefined && startedAt < receivedAt) {
        await setBegan(tx, id, startedAt)
        const message = `${alert.source} saw it begin.`
        await addEvent(tx, id, { at: startedAt, kind: 'first-bad-sample', message, detail: {} })
      }
      const received = `${alert.name} from ${alert.source}${alert.summary === undefined ? '' : `: ${alert.summary}`}`
      await addEvent(tx, id, {
        at: receivedAt,
        kind: 'alert-received',
        message: received,
        detail: {
          alert: alert.id,
          ...(labels === undefined ? {} : { labels }),
          ...(measured === undefined ? {} : { measured }),
          ...(link === undefined ? {} : { link }),
        },
      })
      await addEvent(tx, id, { at: decidedAt, kind: 'decided', message: explanation, detail: {} })
    },
    breached: async (tx, { incident: id, seenAt, decidedAt, committedAt, verdict }) => {
      await setAlerted(tx, id, seenAt, committedAt)
      const { name: tripwire, explanation: message, numbers } = verdict
      const tell = (at: number, kind: string, text: string) =>
        addEvent(tx, id, { at, kind, message: text, detail: { tripwire, numbers } })
      const { firstBadAt } = numbers
      if (firstBadAt !== undefined && firstBadAt < seenAt) {
        await setBegan(tx, id, firstBadAt)
        await tell(firstBadAt, 'first-bad-sample', `First failures within the window of ${tripwire}.`)
      }
      await tell(seenAt, 'breach-seen', `${tripwire} was breached.`)
      await tell(decidedAt, 'decided', message)
    },
    acknowledge: (id, by) =>
      db.tx(async (tx) => {
        const at = clock()
        await tx.query('select from head for update')
        const incident = await findIncident(tx, id)
        if (incident === undefined) return 'unknown'
        if (!(await setAcknowledged(tx, id, by, at))) return 'already'
        await addEvent(tx, id, { at, kind: 'acknowledged', message: `Taken up by ${by}.`, detail: { by } })
        const { migration } = incident
        await recordChange(tx, {
          at,
          actor: by,
          kind: 'incident.acknowledged',
          subject: id,
          detail: { migration },
        })
        return 'acknowledged'
      }),
    observeProgress,
  }
}

const titleOf = ({ migration, cause, from }: RevertRecord): string =>
  `${migration} reverted from ${from.phase}: ${cause.reason}`.slice(0, 300)

// What an instance was last heard of is when its position arrived, to the millisecond; storing it took longer.
const earliest = (acked: readonly InstanceFacts[], now: number): number =>
  Math.min(now, ...acked.map((instance) => instance.lastSeen))
const latest = (acked: readonly InstanceFacts[], now: number): number =>
  Math.min(now, Math.max(...acked.map((instance) => instance.lastSeen)))

/** One run at a time; what comes in meanwhile is done together in the next. */
function coalesce(
  run: (migrations: readonly string[]) => Promise<void>,
): (migrations: readonly string[]) => Promise<void> {
  let waiting = new Set<string>()
  let running: Promise<void> | undefined
  const drain = async (): Promise<void> => {
    try {
      while (waiting.size > 0) {
        const batch = [...waiting]
        waiting = new Set()
        await run(batch)
      }
    } finally {
      running = undefined
    }
  }
  return (migrations) => {
    for (const migration of migrations) waiting.add(migration)
    if (waiting.size === 0) return Promise.resolve()
    running ??= drain()
    return running
  }
}
