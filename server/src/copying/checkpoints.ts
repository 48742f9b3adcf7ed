import { createHash } from 'node:crypto'
import { countRows, type Key, keyText, type Side, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { ExecutionError, WorkStopped } from '../target/execution-error.ts'
import { inTransaction, type Sql, type Target } from '../target/target.ts'
import { requireSameBlocks } from '../walks/blocks.ts'
import { planWalk } from '../walks/plan-walk.ts'
import { rangedValue } from '../walks/value-ranges.ts'
import { type Part, sideOf } from '../walks/walk.ts'
import { endsOf, upperOf } from '../walks/walk-ends.ts'
import type { OpenRange } from './copy-chunk.ts'
import { WITHOUT_WAITING } from './settle-copy.ts'

/** Where a copy reads, and where it writes and keeps its checkpoints; one database or two. */
export interface Places {
  readonly source: Target
  readonly target: Target
}

/** One copy, as it stands in the target; any number of processes may share it. */
export interface Copy {
  readonly total: number
  /**
   * The next range of about `size` rows; undefined where all have been handed out. `later` where what comes next
   * has to wait for ranges that are not done.
   */
  next(size: number, worker: string): Promise<OpenRange | 'later' | undefined>
  /**
   * A range that was handed out, is not done, and that nobody is copying now: whoever had it has died, given it
   * up, or not come to it yet. `busy` where there are such, but all are being copied.
   */
  leftOver(worker: string): Promise<OpenRange | 'busy' | undefined>
  /** @throws TableRewritten where rows have got other places since the copy began, so that some may be left out */
  requireSamePlaces(): Promise<void>
}

interface CopyRow extends Record<string, unknown> {
  readonly epoch: number
  readonly mapping: string
  readonly parts: readonly Part[] | null
  /** The part that is being handed out. */
  readonly part: number
  readonly upper_key: Key | null
  readonly frontier: Key | null
  readonly total: number
}

// What is copied, not how fast. Whoever knows nothing of the way in which old is gone through must not join.
const checksumOf = ({ copy: { from, to, key, columns, where, ranges } }: Mapping, byBlocks = false): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        from,
        to,
        key,
        columns,
        where,
        ...(ranges ? [ranges] : []),
        ...(byBlocks ? ['blocks'] : []),
      ]),
    )
    .digest('hex')

const isByBlocks = (parts: readonly Part[]): boolean => parts.some(({ blocks }) => blocks !== undefined)

/** The copy of this epoch, where it has begun: another epoch's says nothing, for new was not written meanwhile. */
export async function joinCopy(places: Places, mapping: Mapping, epoch: number): Promise<Copy | undefined> {
  const { rows } = await places.target.query<CopyRow>(
    'select * from switchback.copies where migration = $1 and epoch = $2 and mapping = any($3)',
    [mapping.migration, epoch, [checksumOf(mapping), checksumOf(mapping, true)]],
  )
  return rows[0] === undefined ? undefined : copyOn(places, mapping, rows[0])
}

/** Takes up the copy of this epoch, or begins it. */
export async function openCopy(places: Places, mapping: Mapping, epoch: number): Promise<Copy> {
  const begun = await joinCopy(places, mapping, epoch)
  if (begun !== undefined) return begun
  await requireKeys(places.source, mapping)
  return copyOn(places, mapping, await beginCopy(places, mapping, epoch))
}

/** Has the next one who opens the copy begin it anew. */
export async function forgetCopy({ target }: Places, migration: string): Promise<void> {
  await target.query('delete from switchback.copies where migration = $1', [migration])
}

async function copyOn(places: Places, mapping: Mapping, copy: CopyRow): Promise<Copy> {
  const { source, target } = places
  const { migration } = mapping
  const { ranges } = mapping.copy
  const parts = copy.parts ?? [{ name: mapping.copy.from, rows: copy.total }]
  const value = ranges === undefined ? undefined : await rangedValue(source, mapping, ranges)
  const sides = new Map<number, Side>()
  const sideAt = (part: number): Side => {
    const known = sides.get(part)
    const found = parts[part]
    if (known !== undefined || found === undefined) return known ?? mapping.old
    const side = sideOf(mapping, found, value)
    sides.set(part, side)
    return side
  }
  const rangeOf = (row: CheckpointRow): OpenRange => ({
    id: row.id,
    side: sideAt(row.part),
    again: parts[row.part]?.since !== undefined,
    after: row.after_key ?? undefined,
    upTo: row.up_to_key,
  })
  let at = positionOf(copy)
  const ends = endsOf(source, sideAt, mapping.copy.chunk.max)
  let turn: Promise<unknown> = Promise.resolve()

  async function handOut(size: number, worker: string): Promise<OpenRange | 'later' | undefined> {
    for (;;) {
      const part = parts[at.part]
      if (part === undefined) return undefined
      if (at.upper === undefined || (at.after !== undefined && keyText(at.after) === keyText(at.upper))) {
        if (at.part + 1 >= parts.length) return undefined
        await nextPart()
        continue
      }
      const { after, upper } = at
      // A range may be waiting for the very writer who moves a row out of it: only then is it known to be young.
      if (part.since !== undefined && (await isOpenBefore(at.part))) return 'later'
      if (part.blocks !== undefined) await requireSameBlocks(source, part.blocks)
      // Looked up apart from the locked read: rows that vanish while a chunk waits for them end nothing.
      const upTo = (await ends(at.part, part, { after, upTo: upper }, size)) ?? upper
      const { rows } = await target.query<CheckpointRow>(
        `with moved as (
           update switchback.copies set frontier = $3
           where migration = $1 and epoch = $4 and part = $6 and frontier is not distinct from $2::text[]
             and ${WITHOUT_WAITING} returning migration, part
         )
         insert into switchback.checkpoints (migration, part, after_key, up_to_key, worker)
         select migration, part, $2, $3, $5 from moved returning id, part, after_key, up_to_key`,
        [migration, after ?? null, upTo, copy.epoch, worker, at.part],
      )
      const [row] = rows
      at = row === undefined ? await positionNow() : { ...at, after: upTo }
      if (row !== undefined) return rangeOf(row)
    }
  }

  async function isOpenBefore(part: number): Promise<boolean> {
    const { rowCount } = await target.query(
      'select from switchback.checkpoints where migration = $1 and part < $2 and not done limit 1',
      [migration, part],
    )
    return rowCount !== 0
  }

  async function nextPart(): Promise<void> {
    const next = at.part + 1
    const part = parts[next]
    const upper = part === undefined ? undefined : await upperOf(source, sideAt(next), part)
    await target.query(
      `update switchback.copies set part = $3, upper_key = $4, frontier = null
       where migration = $1 and epoch = $2 and part = $3 - 1`,
      [migration, copy.epoch, next, upper ?? null],
    )
    at = await positionNow()
  }

  /** Where this or another process has moved it to. */
  async function positionNow(): Promise<Position> {
    const { rows } = await target.query<CopyRow>(
      'select * from switchback.copies where migration = $1 and epoch = $2',
      [migration, copy.epoch],
    )
    if (rows[0] === undefined) throw new WorkStopped('another copy has begun')
    return positionOf(rows[0])
  }

  return {
    total: copy.total,
    next: (size, worker) => {
      // One at a time: the workers of a process share the frontier.
      const mine = turn.then(() => handOut(size, worker))
      turn = mine.catch(() => undefined)
      return mine
    },
    leftOver: async (worker) => {
      const { rows } = await target.query<CheckpointRow>(
        `update switchback.checkpoints set worker = $2 where id = (
           select id from switchback.checkpoints where migration = $1 and not done order by id
           for update skip locked limit 1
         ) and not done returning id, part, after_key, up_to_key`,
        [migration, worker],
      )
      if (rows[0] !== undefined) return rangeOf(rows[0])
      const { rowCount } = await target.query(
        'select from switchback.checkpoints where migration = $1 and not done limit 1',
        [migration],
      )
      return rowCount === 0 ? undefined : 'busy'
    },
    requireSamePlaces: async () => {
      for (const { blocks } of parts) if (blocks !== undefined) await requireSameBlocks(source, blocks)
    },
  }
}

interface CheckpointRow extends Record<string, unknown> {
  readonly id: number
  readonly part: number
  readonly after_key: Key | null
  readonly up_to_key: Key
}

interface Position {
  readonly part: number
  readonly after: Key | undefined
  readonly upper: Key | undefined
}

const positionOf = ({ part, frontier, upper_key: upper }: CopyRow): Position => ({
  part,
  after: frontier ?? undefined,
  upper: upper ?? undefined,
})

async function beginCopy(places: Places, mapping: Mapping, epoch: number): Promise<CopyRow> {
  const { source, target } = places
  const { migration } = mapping
  // Rows that come later are the dual write's: the copy ends however fast they come.
  const parts = await planWalk(source, mapping)
  const [first] = parts
  const value =
    mapping.copy.ranges === undefined ? undefined : await rangedValue(source, mapping, mapping.copy.ranges)
  const upper = first === undefined ? undefined : await upperOf(source, sideOf(mapping, first, value), first)
  const total = await countRows(source, mapping.old)
  const plain = parts.length === 1 && first?.blocks === undefined && first?.values === undefined
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
          ...[migration, epoch, checksumOf(mapping, isByBlocks(parts)), upper ?? null, total],
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
