import type { ApplicationLatency } from '@switchback/migrations-registry'
import type { PaceNow } from '../execution/execution-port.ts'

export interface Pace {
  now(): PaceNow
  /** Looks at what the application's operations take, where it is time for that. */
  look(measure: (since: number) => Promise<readonly ApplicationLatency[]>): Promise<void>
  /** To be told after every statement. */
  passed(rows: number): void
}

interface PaceOptions {
  readonly clock: () => number
  /** How many times what it is without copying a p99 may become. */
  readonly factor: () => number
}

/** Fast enough that small tables are soon done, slow enough that nobody notices before the first look. */
const FIRST = 20_000
const LEAST = 500
/** What a statement costs beside its rows counts for little then, and nobody waits for one for long. */
const STATEMENTS_PER_SECOND = 10
export const SHORTEST_CHUNK = 50

const LOOK_MS = 3_000
/** A p99 of less says little: one moment in which the disk was slow would be taken for our doing. */
const JUDGE_MS = 6_000
/** Until somebody suffers for the first time, then. */
const STEP_AT_FIRST = 1.5
const STEP = 1.25
/** Until what an instance has measured is here: it tells once a second, and servers tell each other once a second. */
const LATE_MS = 2_000
const REST_MS = 6_000
const REST_AGAIN_MS = 300_000
/** A p99 of fewer operations says too little. */
const ENOUGH = 100
/** So near to the limit the pace stays as it is. */
const NEAR = 0.5
/** Copying makes nothing faster: where it seems so, what was taken for usual was a bad moment. */
const IMPROBABLE = 0.75
const DOUBT_AFTER_MS = 60_000
/** Looks at the least pace that are still above the limit: it is not us. */
const NOT_US = 3

/** Rows of one statement, at most, at a pace. */
export const mostRows = (rowsPerSecond: number): number =>
  Math.max(SHORTEST_CHUNK, Math.round(rowsPerSecond / STATEMENTS_PER_SECOND))

/**
 * Feels its way to the pace at which the p99 of the application's operations stays within a factor of what it is
 * without us: it goes up as long as that is so, at first by large steps, and down where it is not. What it is
 * without us is measured before the beginning, and again in short rests: an application is not the same all day.
 */
export function createPace({ clock, factor }: PaceOptions): Pace {
  const began = clock()
  let rate = FIRST
  let step = STEP_AT_FIRST
  let because = 'too little was measured of the application yet'
  const usual = new Map<string, number>()
  let usualAt: number | undefined
  let restingSince: number | undefined
  let changedAt = began
  let rows = 0
  let stillAbove = 0
  let looked: number | undefined

  function learn(latencies: readonly ApplicationLatency[]): void {
    for (const { kind, p99, count } of latencies) if (count >= ENOUGH) usual.set(kind, p99)
    usualAt = clock()
  }

  /** The kind of operation that suffers most; undefined where too little was measured to say. */
  function worst(latencies: readonly ApplicationLatency[]) {
    return latencies
      .flatMap(({ kind, p99, count }) => {
        const before = usual.get(kind)
        return before === undefined || count < ENOUGH ? [] : { kind, p99, before, times: p99 / before }
      })
      .reduce<{ kind: string; p99: number; before: number; times: number } | undefined>(
        (most, each) => (most === undefined || each.times > most.times ? each : most),
        undefined,
      )
  }

  function turnTo(next: number): void {
    rate = Math.max(LEAST, Math.round(next))
    changedAt = clock()
    rows = 0
  }

  function adapt(latencies: readonly ApplicationLatency[]): void {
    const seconds = (clock() - changedAt) / 1000
    const reached = rows / seconds
    // A pace that was not gone at has not been tried.
    const tried = reached >= rate / 2
    const found = worst(latencies)
    const limit = factor()
    if (found === undefined) {
      // Nobody there to be slowed down, or hardly anybody.
      if (tried) turnTo(rate * STEP)
      return
    }
    const { kind, p99, before, times } = found
    because = `the application's ${kind}: p99 ${ms(p99)}, ${times.toFixed(2)} times ${ms(before)} without copying`
    if (times > limit) {
      stillAbove = rate <= LEAST ? stillAbove + 1 : 0
      step = STEP
      turnTo(Math.min(rate, Math.max(reached, LEAST)) * Math.max(0.5, limit / times) * 0.9)
      if (stillAbove >= NOT_US) rest()
      return
    }
    stillAbove = 0
    if (times < IMPROBABLE && clock() - (usualAt ?? began) > DOUBT_AFTER_MS) rest()
    if (times < 1 + (limit - 1) * NEAR && tried) turnTo(rate * step)
  }

  function rest(): void {
    restingSince = clock()
    stillAbove = 0
  }

  return {
    now: () =>
      restingSince === undefined
        ? { rowsPerSecond: rate, because: `${because}: ${rate} rows a second` }
        : { rowsPerSecond: 0, because: "measuring the application's p99 without copying" },
    look: async (measure) => {
      const now = clock()
      if (looked === undefined) {
        looked = now
        learn(await measure(0))
        return
      }
      if (now - looked < (restingSince === undefined ? LOOK_MS : REST_MS)) return
      looked = now
      if (restingSince !== undefined) {
        learn(await measure(restingSince + LATE_MS))
        restingSince = undefined
        step = STEP_AT_FIRST
        turnTo(rate)
        return
      }
      const latencies = await measure(changedAt + LATE_MS)
      const unknown = usual.size === 0 && latencies.some(({ count }) => count >= ENOUGH)
      if (unknown || now - (usualAt ?? began) > REST_AGAIN_MS) rest()
      else if (now - changedAt >= LATE_MS + JUDGE_MS) adapt(latencies)
    },
    passed: (copied) => {
      rows += copied
    },
  }
}

const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)}ms`
