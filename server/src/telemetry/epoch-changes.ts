import type { Phase } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'

/** A new epoch of a migration, as the audit log knows it. */
export interface EpochChange {
  readonly at: number
  readonly epoch: number
  readonly phase: Phase
  readonly revert: boolean
}

/** More marks than this are no help on a chart. */
const MOST = 100

/** Oldest first; of very many the newest. */
export async function epochChanges(
  on: Queryable,
  migration: string,
  since: number,
): Promise<readonly EpochChange[]> {
  const { rows } = await on.query<{ at: Date; epoch: number; phase: Phase; kind: string }>(
    `select at, (detail -> 'to' ->> 'epoch')::bigint as epoch, detail -> 'to' ->> 'phase' as phase, kind
     from audit_events
     where subject = $1 and at >= $2 and detail -> 'to' ->> 'epoch' is distinct from detail -> 'from' ->> 'epoch'
       and detail -> 'to' ->> 'epoch' is not null
     order by revision desc limit ${MOST}`,
    [migration, new Date(since)],
  )
  return rows
    .map(({ at, epoch, phase, kind }) => ({
      at: at.getTime(),
      epoch,
      phase,
      revert: kind.startsWith('migration.reverted'),
    }))
    .reverse()
}
