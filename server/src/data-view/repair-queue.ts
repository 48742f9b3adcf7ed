import type { Path } from '@switchback/migrations-registry'
import { isThere } from '../comparing/repairs.ts'
import type { Sql } from '../target/target.ts'

/** A key that waits to be copied again from the path that is ahead. */
export interface QueuedRepair {
  readonly key: string
  /** The path that is behind. */
  readonly path: Path
  readonly epoch: number
  readonly reason: string
  readonly queuedAt: number
  readonly attempts: number
  readonly lastError?: string
  /** It has been copied, and stays until no transaction is left that could miss it. */
  readonly settling: boolean
}

export interface RepairQueue {
  readonly total: number
  readonly oldestAt?: number
  /** Writes whose second half was not confirmed yet; independent mode only. */
  readonly intents: number
  readonly repairs: readonly QueuedRepair[]
}

interface Row extends Record<string, unknown> {
  readonly key: string
  readonly path: Path
  readonly epoch: number
  readonly reason: string
  readonly queued_at: Date
  readonly attempts: number
  readonly last_error: string | null
  readonly copied: boolean
}

const EMPTY: RepairQueue = { total: 0, intents: 0, repairs: [] }

/** The repair queue of a migration, the oldest first; of two databases where its paths are in two. */
export async function repairQueue(
  databases: readonly Sql[],
  migration: string,
  limit: number,
): Promise<RepairQueue> {
  const queues = await Promise.all(databases.map((on) => queueOf(on, migration, limit)))
  const oldest = queues.flatMap(({ oldestAt }) => oldestAt ?? [])
  return {
    total: queues.reduce((sum, { total }) => sum + total, 0),
    intents: queues.reduce((sum, { intents }) => sum + intents, 0),
    ...(oldest.length === 0 ? {} : { oldestAt: Math.min(...oldest) }),
    repairs: queues
      .flatMap(({ repairs }) => repairs)
      .sort((one, other) => one.queuedAt - other.queuedAt)
      .slice(0, limit),
  }
}

async function queueOf(on: Sql, migration: string, limit: number): Promise<RepairQueue> {
  if (!(await isThere(on, 'switchback.repairs'))) return EMPTY
  const { rows: sums } = await on.query<{ total: number; oldest: Date | null; intents: number }>(
    `select count(*) as total, min(queued_at) as oldest,
       (select count(*) from switchback.intents where migration = $1) as intents
     from switchback.repairs where migration = $1`,
    [migration],
  )
  const { total = 0, oldest = null, intents = 0 } = sums[0] ?? {}
  const { rows } = await on.query<Row>(
    `select key, path, epoch, reason, queued_at, attempts, last_error, copied from switchback.repairs
     where migration = $1 order by queued_at, key limit $2`,
    [migration, limit],
  )
  return {
    total,
    intents,
    ...(oldest === null ? {} : { oldestAt: oldest.getTime() }),
    repairs: rows.map(({ queued_at, last_error, copied, ...repair }) => ({
      ...repair,
      queuedAt: queued_at.getTime(),
      settling: copied,
      ...(last_error === null ? {} : { lastError: last_error }),
    })),
  }
}
