import { createHash } from 'node:crypto'
import { countRows, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { ExecutionError } from '../target/execution-error.ts'
import { inTransaction, type Sql } from '../target/target.ts'
import { planWalk } from '../walks/plan-walk.ts'
import { rangedValue } from '../walks/value-ranges.ts'
import { type Part, sideOf } from '../walks/walk.ts'
import { upperOf } from '../walks/walk-ends.ts'
import { requireSameXids } from '../walks/written-since.ts'
import { type Copy, type CopyRow, copyOn, type Places } from './checkpoints.ts'

/** How old is gone through, beside in the order of its keys under locks. */
type Way = 'blocks' | 'without-locks'

// What is copied, not how fast. Whoever knows nothing of the way in which old is gone through must not join.
const checksumOf = ({ copy: { from, to, key, columns, where, ranges } }: Mapping, way?: Way): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        ...[from, to, key, columns, where],
        ...(ranges ? [ranges] : []),
        ...(way === undefined ? [] : [way]),
      ]),
    )
    .digest('hex')

function wayOf(parts: readonly Part[], withoutLocks: boolean): Way | undefined {
  if (withoutLocks) return 'without-locks'
  return parts.some(({ blocks }) => blocks !== undefined) ? 'blocks' : undefined
}

/** How a copy is begun. */
export interface Beginning extends Places {
  /** Whether rows of old need no locks while they are copied, since those written meanwhile are looked at again. */
  withoutLocks?(mapping: Mapping): Promise<boolean>
}

/** The copy of this epoch, where it has begun: another epoch's says nothing, for new was not written meanwhile. */
export async function joinCopy(places: Places, mapping: Mapping, epoch: number): Promise<Copy | undefined> {
  const row = await begunCopy(places, mapping, epoch)
  return row === undefined ? undefined : copyOn(places, mapping, row, isWithoutLocks(mapping, row))
}

async function begunCopy({ target }: Places, mapping: Mapping, epoch: number): Promise<CopyRow | undefined> {
  const ways = [undefined, 'blocks', 'without-locks'] as const
  const { rows } = await target.query<CopyRow>(
    'select * from switchback.copies where migration = $1 and epoch = $2 and mapping = any($3)',
    [mapping.migration, epoch, ways.map((way) => checksumOf(mapping, way))],
  )
  return rows[0]
}

const isWithoutLocks = (mapping: Mapping, row: CopyRow): boolean =>
  row.mapping === checksumOf(mapping, 'without-locks')

/**
 * Takes up the copy of this epoch, or begins it.
 * @throws CopyOutdated where what it has written down about old says nothing any more
 */
export async function openCopy(places: Beginning, mapping: Mapping, epoch: number): Promise<Copy> {
  const begun = await begunCopy(places, mapping, epoch)
  for (const { since, system } of begun?.parts ?? []) {
    if (since !== undefined)
      await requireSameXids(places.source, { since, ...(system === undefined ? {} : { system }) })
  }
  if (begun === undefined) await requireKeys(places.source, mapping)
  const row = begun ?? (await beginCopy(places, mapping, epoch))
  return copyOn(places, mapping, row, isWithoutLocks(mapping, row))
}

/** Has the next one who opens the copy begin it anew. */
export async function forgetCopy({ target }: Places, migration: string): Promise<void> {
  await target.query('delete from switchback.copies where migration = $1', [migration])
}

async function beginCopy(places: Beginning, mapping: Mapping, epoch: number): Promise<CopyRow> {
  const { source, target } = places
  const withoutLocks = (await places.withoutLocks?.(mapping)) ?? false
  const { migration } = mapping
  // Rows that come later are the dual write's: the copy ends however fast they come.
  const parts = await planWalk(source, mapping, withoutLocks)
  const [first] = parts
  const value =
    mapping.copy.ranges === undefined ? undefined : await rangedValue(source, mapping, mapping.copy.ranges)
  const upper = first === undefined ? undefined : await upperOf(source, sideOf(mapping, first, value), first)
  const whole = first?.blocks === undefined && first?.values === undefined
  const plain = parts.length === 1 && whole
  // All of old in one part was counted as that.
  const total = whole && first !== undefined ? first.rows : await countRows(source, mapping.old)
  return target.connection((connection) =>
    inTransaction(connection, 'begin', async () => {
      await connection.query('delete from switchback.checkpoints where migration = $1', [migration])
      await connection.query('delete from switchback.failed_rows where migration = $1', [migration])
      const { rows } = await connection.query<CopyRow>(
        `insert into switchback.copies (migration, epoch, mapping, upper_key, total, parts)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (migration) do update set epoch = excluded.epoch, mapping = excluded.mapping,
           upper_key = excluded.upper_key, frontier = null, total = excluded.total, parts = excluded.parts,
           part = 0, began_at = clock_timestamp(), ended_at = null,
           pace = null, paced_at = null
         returning *`,
        [
          ...[migration, epoch, checksumOf(mapping, wayOf(parts, withoutLocks)), upper ?? null, total],
          plain ? null : JSON.stringify(parts),
        ],
      )
      return rows[0] as CopyRow
    }),
  )
}

/** Rows without a key have no counterpart; the mapping has to say so. */
async function requireKeys(on: Sql, { old, copy }: Mapping): Promise<void> {
  const { rows } = await on.query(
    `select from ${old.table} where (${old.keys.map((key) => `${key} is null`).join(' or ')})
     and ${within(old, {})} limit 1`,
  )
  if (rows.length === 0) return
  throw new ExecutionError(
    'work-impossible',
    `rows of ${copy.from} have no key (${Object.values(copy.key).join(', ')} is null): leave them out with copy.where`,
  )
}
