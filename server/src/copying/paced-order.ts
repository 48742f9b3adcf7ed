import { type ApplicationLatency, LATENCY_FACTOR } from '@switchback/migrations-registry'
import type { PaceNow, WorkOrder } from '../execution/execution-port.ts'
import { messageOf } from '../target/execution-error.ts'
import type { Target } from '../target/target.ts'
import { createPace, type Pace } from './pace.ts'
import { limitsOf, type ThrottlePorts } from './throttle-signals.ts'

export interface PacedDeps {
  readonly target: Target
  readonly clock: () => number
  readonly latencies?: ThrottlePorts['latencies']
}

const ASK_MS = 1_000
/** Within so long the leader has told the pace again, or it leads no more. */
export const TOLD_WITHIN_MS = 15_000
const TELL_MS = 5_000

/** The factor that holds, and whether somebody has asked for it; undefined where it was taken off. */
function factorOf(order: WorkOrder): { readonly times: number; readonly asked: boolean } | undefined {
  const { latencyFactor } = limitsOf(order)
  if (latencyFactor === null) return undefined
  return { times: latencyFactor ?? LATENCY_FACTOR, asked: latencyFactor !== undefined }
}

/**
 * The same order at a pace that keeps the application's p99 within a factor, for whoever leads the work: what is
 * measured of the application says how fast, and the processes that help are told through the target.
 */
export function atPace(deps: PacedDeps, order: WorkOrder): WorkOrder {
  const { target, clock } = deps
  const { definition, epoch } = order
  let pace: Pace | undefined
  let measured: readonly ApplicationLatency[] = []
  let askedAt = Number.NEGATIVE_INFINITY
  let unreadable: string | undefined
  let looking: Promise<void> = Promise.resolve()
  let told = { text: '', at: Number.NEGATIVE_INFINITY }

  const measure = (since: number) => deps.latencies?.(definition.id, since) ?? Promise.resolve([])
  const now = (): PaceNow | undefined => (measured.length === 0 ? undefined : pace?.now())

  /** Where nobody measures, nobody is slowed down either: only a factor that was asked for holds work back then. */
  async function look(): Promise<void> {
    const factor = factorOf(order)
    try {
      measured = factor === undefined ? [] : await measure(0)
      unreadable =
        measured.length === 0 && factor?.asked === true
          ? 'latencyFactor cannot be read: no measurement of the application has come lately'
          : undefined
      if (measured.length > 0) {
        pace ??= createPace({ clock, factor: () => factorOf(order)?.times ?? LATENCY_FACTOR })
        await pace.look(measure)
      }
    } catch (error) {
      unreadable = factor?.asked === true ? `latencyFactor cannot be read: ${messageOf(error)}` : undefined
    }
    await tell(now())
  }

  async function tell(paced: PaceNow | undefined): Promise<void> {
    const text = JSON.stringify(paced ?? null)
    if (text === told.text && (paced === undefined || clock() - told.at < TELL_MS)) return
    told = { text, at: clock() }
    // Helpers that are not told stop by themselves.
    await target
      .query(
        `update switchback.copies set pace = nullif($3::jsonb, 'null'), paced_at = clock_timestamp()
         where migration = $1 and epoch = $2`,
        [definition.id, epoch, text],
      )
      .catch(() => undefined)
  }

  return {
    ...order,
    pace: { now, passed: (rows) => pace?.passed(rows) },
    heldBackBy: async () => {
      const reason = await order.heldBackBy()
      if (reason !== undefined) return reason
      if (clock() - askedAt >= ASK_MS) {
        askedAt = clock()
        looking = look()
      }
      await looking
      return unreadable ?? restOf(now())
    },
  }
}

const restOf = (paced: PaceNow | undefined): string | undefined =>
  paced?.rowsPerSecond === 0 ? paced.because : undefined

interface Told extends Record<string, unknown> {
  readonly pace: PaceNow | null
  readonly age: number | null
}

/** The same order at the pace that whoever leads the copy has told; `isLed` says whether somebody still does. */
export function atToldPace(
  { target, clock }: PacedDeps,
  order: WorkOrder,
): { readonly order: WorkOrder; readonly isLed: () => Promise<boolean> } {
  const { definition, epoch } = order
  let told: Told = { pace: null, age: null }
  let askedAt = Number.NEGATIVE_INFINITY
  let asking: Promise<void> = Promise.resolve()

  async function ask(): Promise<void> {
    const { rows } = await target.query<Told>(
      `select pace, (extract(epoch from clock_timestamp() - paced_at) * 1000)::float8 as age
       from switchback.copies where migration = $1 and epoch = $2`,
      [definition.id, epoch],
    )
    told = rows[0] ?? { pace: null, age: null }
  }
  async function now(): Promise<Told> {
    if (clock() - askedAt >= ASK_MS) {
      askedAt = clock()
      asking = ask()
    }
    await asking
    return told
  }

  return {
    order: {
      ...order,
      pace: { now: () => told.pace ?? undefined, passed: () => undefined },
      heldBackBy: async () => (await order.heldBackBy()) ?? restOf((await now()).pace ?? undefined),
    },
    isLed: async () => {
      const { pace, age } = await now()
      return pace === null || (age ?? 0) < TOLD_WITHIN_MS
    },
  }
}
