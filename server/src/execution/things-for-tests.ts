import { definitionSchema, type MigrationDefinition } from '@switchback/migrations-registry'
import type pg from 'pg'
import { createExecution } from './execution.ts'
import { type ExecutionWorld, executionWorld, orderOf } from './execution-for-tests.ts'
import type { Execution, WorkOrder, WorkOutcome } from './execution-port.ts'

/** A target with the work of a migration `things`, from `old_t` to `new_t`. */
export interface ThingsWorld extends Omit<ExecutionWorld, 'rows'> {
  /** The execution of another process, which `drop` ends unless `end` has. */
  open(name: string): Execution
  end(execution: Execution): Promise<void>
  definition(copy: object): MigrationDefinition
  /** Work that ends with the test at the latest. */
  run(kind: 'backfill' | 'verify', copy: object, more?: Partial<WorkOrder>): Promise<WorkOutcome>
  rows<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>
  /** How many ranges have been copied. */
  done(): Promise<number>
}

export async function thingsWorld(): Promise<ThingsWorld> {
  const world = await executionWorld('things')
  const { database, pool, execution } = world
  const opened = new Set<Execution>()
  const stop = new AbortController()
  const runs: Promise<unknown>[] = []
  const definition = (copy: object): MigrationDefinition =>
    definitionSchema.parse({
      id: 'things',
      title: 'Things',
      copy: { from: 'old_t', to: 'new_t', key: { id: 'id' }, columns: { v: 'v' }, ...copy },
    })
  const rows: ThingsWorld['rows'] = async (text) => (await pool.query(text)).rows
  return {
    ...world,
    rows,
    definition,
    open: (name) => {
      const other = createExecution({
        url: database.url,
        log: { warn: () => undefined },
        archiveDir: '/nonexistent',
        clock: Date.now,
        name,
      })
      opened.add(other)
      return other
    },
    end: async (other) => {
      opened.delete(other)
      await other.end()
    },
    run: (kind, copy, more = {}) => {
      const running = execution.run(kind, orderOf(definition(copy), { signal: stop.signal, ...more }))
      runs.push(running.catch(() => undefined))
      return running
    },
    done: async () => {
      const [row] = await rows<{ n: number }>(
        'select count(*)::int as n from switchback.checkpoints where done',
      )
      return row?.n ?? 0
    },
    drop: async () => {
      stop.abort()
      await Promise.all(runs)
      for (const other of opened) await other.end()
      await world.drop()
    },
  }
}

/** Holds work back after so many ranges, until it is let go on. */
export function heldAfter(ranges: number): Pick<WorkOrder, 'heldBackBy'> & { go(): void } {
  let left = ranges
  return {
    heldBackBy: () => {
      if (left <= 0) return 'the test'
      left -= 1
      return undefined
    },
    go: () => {
      left = Number.POSITIVE_INFINITY
    },
  }
}
