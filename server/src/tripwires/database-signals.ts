import {
  type DatabaseReading,
  type DatabaseSignal,
  type MigrationDefinition,
  tablesOf,
  tripwiresOf,
} from '@switchback/migrations-registry'
import type { Clock } from '../db/clock.ts'
import type { Inspection, TargetReading } from '../execution/inspection.ts'

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
  /** @throws where the target is not configured */
  readonly inspectionFor: (definition: MigrationDefinition) => Pick<Inspection, 'read'>
}

/** As many readings in a row as a tripwire may ask for. */
const KEPT = 600
const MINUTE_MS = 60_000

interface Memory {
  readonly readings: Map<DatabaseSignal, DatabaseReading[]>
  failedAt: number[]
  statements: TargetReading['statements']
  reading: boolean
}

export function createDatabaseSignals({ clock, inspectionFor }: DatabaseSignalsDeps): DatabaseSignals {
  const memories = new Map<string, Memory>()

  return {
    read: async (definition, failures) => {
      const asked = signalsOf(definition)
      if (asked.length === 0) return
      const memory = memoryOf(memories, definition.id)
      // One that takes longer than a second is still being waited for.
      if (memory.reading) return
      memory.reading = true
      let now: TargetReading | undefined
      let problem: string | undefined
      try {
        now = await inspectionFor(definition).read(tablesOf(definition))
      } catch (error) {
        memory.failedAt.push(clock())
        problem = `the target cannot be asked: ${error instanceof Error ? error.message : String(error)}`
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
      memory.statements = now?.statements
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
  const memory: Memory = { readings: new Map(), failedAt: [], statements: undefined, reading: false }
  memories.set(id, memory)
  return memory
}

function readingOf(
  signal: DatabaseSignal,
  now: TargetReading | undefined,
  memory: Memory,
  problem: string | undefined,
  failures: number,
): { readonly value: number } | { readonly problem: string } {
  if (signal === 'connection-errors') return { value: memory.failedAt.length + failures }
  if (now === undefined) return { problem: problem ?? 'the target gave no reading' }
  switch (signal) {
    case 'lock-waits':
      return { value: now.lockWaits }
    case 'long-transaction':
      return { value: now.longTransactionMs }
    case 'replication-lag':
      return now.replicationLagMs === undefined
        ? { problem: 'no replica is connected' }
        : { value: now.replicationLagMs }
    case 'slow-queries':
      return slowness(now.statements, memory.statements)
  }
}

/** Mean time of the statements since the last reading. */
function slowness(now: TargetReading['statements'], before: TargetReading['statements']) {
  if (now === undefined) return { problem: 'the extension pg_stat_statements is not there' }
  if (before === undefined || now.calls < before.calls) return { problem: 'being measured' }
  const calls = now.calls - before.calls
  return { value: calls === 0 ? 0 : (now.ms - before.ms) / calls }
}
