import type { Telemetry } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import type { PhaseService, StoredMigration } from '../phases/phase-service.ts'

/** Counts what applications noticed of migrations: operations that new served, and how many failed. */
export interface Failures {
  record(batch: Telemetry): void
  /** Writes down what was counted since the last time. */
  flush(): Promise<void>
  start(): void
  stop(): Promise<void>
}

export interface FailuresDeps {
  readonly db: Queryable
  readonly phases: Pick<PhaseService, 'get'>
  readonly onFault: (error: unknown) => void
  readonly intervalMs: number
}

interface Counted {
  readonly migration: string
  readonly epoch: number
  readonly operation: 'read' | 'write' | 'remove'
  count: number
  failed: number
}

/** More than any fleet has at once; what is beyond is not counted rather than kept without bound. */
const MAX_KEPT = 10_000

export function createFailures({ db, phases, onFault, intervalMs }: FailuresDeps): Failures {
  let counted = new Map<string, Counted>()
  let timer: NodeJS.Timeout | undefined

  async function flush(): Promise<void> {
    const batch = [...counted.values()]
    counted = new Map()
    const sums = new Map<string, { served: number; failed: number }>()
    const known = new Map<string, StoredMigration | undefined>()
    for (const { migration, epoch, operation, count, failed } of batch) {
      if (!known.has(migration)) known.set(migration, await phases.get(migration))
      const found = known.get(migration)
      if (found === undefined || !newServed(found, epoch, operation)) continue
      const sum = sums.get(migration) ?? { served: 0, failed: 0 }
      sums.set(migration, { served: sum.served + count, failed: sum.failed + failed })
    }
    for (const [migration, { served, failed }] of sums) {
      await db.query(
        `insert into failed_operations (migration, served, failed) values ($1, $2, $3)
         on conflict (migration) do update set served = failed_operations.served + excluded.served,
           failed = failed_operations.failed + excluded.failed`,
        [migration, served, failed],
      )
    }
  }

  return {
    record: ({ measurements }) => {
      for (const { migration, epoch, path, operation, count, errors, shadow } of measurements) {
        if (path !== 'new') continue
        const key = `${migration} ${epoch} ${operation}`
        const entry = counted.get(key) ?? { migration, epoch, operation, count: 0, failed: 0 }
        // What ran beside the served read reached no caller, whether it failed or not.
        entry.count += count - (shadow?.count ?? 0)
        for (const each of Object.values(errors)) entry.failed += each
        entry.failed -= shadow?.failed ?? 0
        if (counted.has(key) || counted.size < MAX_KEPT) counted.set(key, entry)
      }
    },
    flush,
    start: () => {
      timer ??= setInterval(() => void flush().catch(onFault), intervalMs).unref()
    },
    stop: async () => {
      clearInterval(timer)
      await flush().catch(onFault)
    },
  }
}

/** Whether the application got what new answered in this epoch: then a failure of new was one of its own. */
function newServed({ state }: StoredMigration, epoch: number, operation: Counted['operation']): boolean {
  const routing = state.history.find((record) => record.epoch === epoch)?.routing
  if (routing === undefined) return false
  if (operation !== 'read') return routing.write === 'dual-new' || routing.write === 'new'
  const { read } = routing
  return read.kind === 'split' || read.variant === 'new' || read.variant === 'new-shadow'
}
