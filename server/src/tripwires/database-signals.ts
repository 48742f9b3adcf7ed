import {
  type DatabaseReading,
  type DatabaseSignal,
  type MigrationDefinition,
  tripwiresOf,
} from '@switchback/migrations-registry'
import type { Clock } from '../db/clock.ts'
import type { Inspection, TargetReading } from '../target/inspection.ts'

export type Readings = Readonly<Partial<Record<DatabaseSignal, readonly DatabaseReading[]>>>

/** What targets say of themselves, read for those migrations whose tripwires ask for it. */
export interface DatabaseSignals {
  /**
   * Reads once.
   *
   * @param failures connections that the application could not make within the last minute
   */
  read(definition: MigrationDefinition, failures: number): Promise<void>
  /** Readings so far, oldest first. */
  of(migration: string): Readings
}

export interface DatabaseSignalsDeps {
  readonly clock: Clock
  /** Each database that a path lives in. @throws where a target is not configured */
  readonly inspectedOf: (definition: MigrationDefinition) => readonly InspectedDatabase[]
}

/** A database, and those tables of a migration that are in it. */
export interface InspectedDatabase {
  readonly target: string
  readonly tables: readonly string[]
  readonly inspection: Pick<Inspection, 'read'>
}

/** As many readings in a row as a tripwire may ask for. */
const KEPT = 600
const MINUTE_MS = 60_000

interface Memory {
  readonly readings: Map<DatabaseSignal, DatabaseReading[]>
  failedAt: number[]
  /** Of each database, as at the last reading. */
  statements: readonly TargetReading['statements'][]
  reading: boolean
}

export function createDatabaseSignals({ clock, inspectedOf }: DatabaseSignalsDeps): DatabaseSignals {
  const memories = new Map<string, Memory>()

  return {
    read: async (definition, failures) => {
      const asked = signalsOf(definition)
      if (asked.length === 0) return
      const memory = memoryOf(memories, definition.id)
      // One that takes longer than a second is still being waited for.
      if (memory.reading) return
      memory.reading = true
      let now: readonly TargetReading[] | undefined
      let problem: string | undefined
      try {
        now = await Promise.all(inspectedOf(definition).map(readOne))
      } catch (error) {
        memory.failedAt.push(clock())
        problem = error instanceof Error ? error.message : String(error)
      } finally {
        memory.reading = false
      }
      const at = clock()
      memory.failedAt = memory.failedAt.filter((failed) => failed > at - MINUTE_MS)
      for (const signal of asked) {
        const kept = memory.readings.get(signal) ?? []
        memory.readings.set(signal, kept)
        kept.push({ at, ...readingOf(signal, now, memory, problem, failures) })
        if (kept.length > KEPT) kept.shift()
      }
      memory.statements = now?.map(({ statements }) => statements) ?? []
    },
    of: (migration) => Object.fromEntries(memories.get(migration)?.readings ?? []),
  }
}

export const signalsOf = (definition: MigrationDefinition): readonly DatabaseSignal[] => [
  ...new Set(
    tripwiresOf(definition).flatMap((tripwire) => (tripwire.watch === 'database' ? [tripwire.signal] : [])),
  ),
]

function memoryOf(memories: Map<string, Memory>, id: string): Memory {
  const known = memories.get(id)
  if (known !== undefined) return known
  const memory: Memory = { readings: new Map(), failedAt: [], statements: [], reading: false }
  memories.set(id, memory)
  return memory
}

async function readOne({ target, tables, inspection }: InspectedDatabase): Promise<TargetReading> {
  try {
    return await inspection.read(tables)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`the target "${target}" cannot be asked: ${reason}`, { cause: error })
  }
}

/** Where the paths live in two databases, the one that is worse off counts. */
function readingOf(
  signal: DatabaseSignal,
  now: readonly TargetReading[] | undefined,
  memory: Memory,
  problem: string | undefined,
  failures: number,
): { readonly value: number } | { readonly problem: string } {
  if (signal === 'connection-errors') return { value: memory.failedAt.length + failures }
  if (now === undefined) return { problem: problem ?? 'the target gave no reading' }
  switch (signal) {
    case 'lock-waits':
      return { value: now.reduce((sum, { lockWaits }) => sum + lockWaits, 0) }
    case 'long-transaction':
      return { value: worst(now.map(({ longTransactionMs }) => longTransactionMs)) }
    case 'replication-lag': {
      const lags = now.flatMap(({ replicationLagMs }) => replicationLagMs ?? [])
      return lags.length === 0 ? { problem: 'no replica is connected' } : { value: worst(lags) }
    }
    case 'slow-queries': {
      const means = now.map(({ statements }, i) => slowness(statements, memory.statements[i]))
      const known = means.flatMap((mean) => ('value' in mean ? [mean.value] : []))
      const unknown = means.find((mean) => 'problem' in mean)
      // One that cannot tell hides nothing that the other tells.
      return known.length === 0 && unknown !== undefined ? unknown : { value: worst(known) }
    }
  }
}

const worst = (values: readonly number[]): number => Math.max(0, ...values)

/** Mean time of the statements since the last reading. */
function slowness(
  now: TargetReading['statements'],
  before: TargetReading['statements'],
): { readonly value: number } | { readonly problem: string } {
  if (now === undefined) return { problem: 'the extension pg_stat_statements is not there' }
  if (before === undefined || now.calls < before.calls) return { problem: 'being measured' }
  const calls = now.calls - before.calls
  return { value: calls === 0 ? 0 : (now.ms - before.ms) / calls }
}
