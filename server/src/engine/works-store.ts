import type { WorkKind } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import type { WorkProgress, WorkRecord } from '../phases/phase-service.ts'

interface Row {
  readonly kind: WorkKind
  readonly epoch: number
  readonly status: WorkRecord['status']
  readonly progress: WorkProgress
  readonly result: Readonly<Record<string, unknown>> | null
  readonly error: string | null
  readonly started_at: Date
  readonly updated_at: Date
  readonly ended_at: Date | null
}

/** Writes down where a piece of work stands, so that any server can show it. */
export async function saveProgress(
  on: Queryable,
  work: { readonly migration: string; readonly kind: WorkKind; readonly epoch: number },
  progress: WorkProgress,
  at: number,
): Promise<void> {
  await on.query(
    `insert into works (migration, kind, epoch, status, progress, started_at, updated_at)
     values ($1, $2, $3, 'running', $4, $5, $5)
     on conflict (migration, kind, epoch) do update
       set status = 'running', progress = excluded.progress, updated_at = excluded.updated_at, error = null,
         -- Asked for once more after it had ended.
         started_at = case when works.ended_at is null then works.started_at else excluded.started_at end,
         ended_at = null`,
    [work.migration, work.kind, work.epoch, progress, new Date(at)],
  )
}

/** Writes down how a piece of work ended. */
export async function saveEnd(
  on: Queryable,
  work: { readonly migration: string; readonly kind: WorkKind; readonly epoch: number },
  end: { readonly result: Readonly<Record<string, unknown>> } | { readonly error: string },
  at: number,
): Promise<void> {
  const result = 'result' in end ? end.result : null
  const error = 'error' in end ? end.error : null
  await on.query(
    `update works set status = $4, result = $5, error = $6, updated_at = $7, ended_at = $7
     where migration = $1 and kind = $2 and epoch = $3`,
    [work.migration, work.kind, work.epoch, error === null ? 'done' : 'failed', result, error, new Date(at)],
  )
}

/** All work of a migration, newest first. */
export async function worksOf(on: Queryable, migration: string): Promise<readonly WorkRecord[]> {
  const { rows } = await on.query<Row>(
    `select kind, epoch, status, progress, result, error, started_at, updated_at, ended_at
     from works where migration = $1 order by started_at desc`,
    [migration],
  )
  return rows.map((row) => ({
    kind: row.kind,
    epoch: row.epoch,
    status: row.status,
    progress: row.progress,
    startedAt: row.started_at.getTime(),
    updatedAt: row.updated_at.getTime(),
    ...(row.result === null ? {} : { result: row.result }),
    ...(row.error === null ? {} : { error: row.error }),
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at.getTime() }),
  }))
}
