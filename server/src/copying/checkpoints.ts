import { type Key, keyText, type Side } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { WorkStopped } from '../target/execution-error.ts'
import type { Target } from '../target/target.ts'
import { requireSameBlocks } from '../walks/blocks.ts'
import { rangedValue } from '../walks/value-ranges.ts'
import { type Part, sideOf } from '../walks/walk.ts'
import { endsOf, upperOf } from '../walks/walk-ends.ts'
import type { OpenRange } from './copy-chunk.ts'
import { settleCopy, WITHOUT_WAITING } from './settle-copy.ts'

/** Where a copy reads, and where it writes and keeps its checkpoints; one database or two. */
export interface Places {
  readonly source: Target
  readonly target: Target
}

/** One copy, as it stands in the target; any number of processes may share it. */
export interface Copy {
  readonly total: number
  /** Rows of old are copied without being locked. */
  readonly withoutLocks: boolean
  /**
   * The next range of about `size` rows; undefined where all have been handed out. `later` where what comes next
   * has to wait for ranges that are not done.
   *
   * @param most so many rows at a pace, where there is one, those included that are only looked at
   */
  next(size: number, worker: string, most?: number): Promise<OpenRange | 'later' | undefined>
  /**
   * A range that was handed out, is not done, and that nobody is copying now: whoever had it has died, given it
   * up, or not come to it yet. `busy` where there are such, but all are being copied.
   */
  leftOver(worker: string): Promise<OpenRange | 'busy' | undefined>
  /** @throws TableRewritten where rows have got other places since the copy began, so that some may be left out */
  requireSamePlaces(): Promise<void>
  /** Waits until what was copied is on disk; says what there is to be done then. */
  settle(): Promise<Left>
  /** Has what was written meanwhile handed out: not before every transaction older than the last range is gone. */
  lookAgain(): Promise<void>
}

/** `ranges` are to be copied, handed out or not; then there may be a second look; then nothing. */
export type Left = 'ranges' | 'second look' | 'nothing'

export interface CopyRow extends Record<string, unknown> {
  readonly epoch: number
  readonly mapping: string
  readonly parts: readonly Part[] | null
  /** The part that is being handed out. */
  readonly part: number
  readonly upper_key: Key | null
  readonly frontier: Key | null
  readonly total: number
}

/** @param withoutLocks whether rows of old are copied without locks */
export async function copyOn(
  places: Places,
  mapping: Mapping,
  copy: CopyRow,
  withoutLocks: boolean,
): Promise<Copy> {
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
    withoutLocks,
    after: row.after_key ?? undefined,
    upTo: row.up_to_key,
  })
  let at = positionOf(copy)
  const ends = endsOf(source, sideAt, mapping.copy.chunk.max)
  let turn: Promise<unknown> = Promise.resolve()

  /** What old's writers may have missed is known when all have copied: whoever leads opens the second look. */
  const isSecondLook = (part: number): boolean => withoutLocks && parts[part]?.since !== undefined

  async function handOut(
    size: number,
    worker: string,
    most: number | undefined,
  ): Promise<OpenRange | 'later' | undefined> {
    for (let looked = false; ; ) {
      const part = parts[at.part]
      if (isEnded(at)) {
        const next = at.part + 1
        if (next < parts.length && !isSecondLook(next)) await moveTo(next, await upperAt(next))
        else if (looked) return undefined
        else {
          // Another process may have gone on; or a crash of the target has taken back what was handed out last.
          at = await positionNow()
          looked = true
        }
        continue
      }
      const { after, upper } = at
      if (part === undefined || upper === undefined) return undefined
      // A range may be waiting for the very writer who moves a row out of it: only then is it known to be young.
      if (part.since !== undefined && (await isOpenBefore(at.part))) return 'later'
      if (part.blocks !== undefined) await requireSameBlocks(source, part.blocks)
      // Looked up apart from the locked read: rows that vanish while a chunk waits for them end nothing.
      const piece = most === undefined ? undefined : { at: mapping.old, rows: most }
      const upTo = (await ends.endOf(at.part, part, { after, upTo: upper }, size, piece)) ?? upper
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
      if (row === undefined) continue
      return {
        ...rangeOf(row),
        ...(most !== undefined && part.inKeyOrder ? { counts: most } : {}),
      }
    }
  }

  async function isOpenBefore(part: number): Promise<boolean> {
    const { rowCount } = await target.query(
      'select from switchback.checkpoints where migration = $1 and part < $2 and not done limit 1',
      [migration, part],
    )
    return rowCount !== 0
  }

  async function upperAt(place: number): Promise<Key | undefined> {
    const part = parts[place]
    if (part === undefined) return undefined
    // The greatest key of all is had at once; that of what was written since would be looked for.
    return upperOf(source, part.inKeyOrder ? mapping.old : sideAt(place), part)
  }

  /** Goes on with the next part, where all of the one before was handed out. */
  async function moveTo(next: number, upper: Key | undefined): Promise<void> {
    await target.query(
      `update switchback.copies set part = $3, upper_key = $4, frontier = null
       where migration = $1 and epoch = $2 and part = $3 - 1 and frontier is not distinct from upper_key`,
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
    withoutLocks,
    next: (size, worker, most) => {
      // One at a time: the workers of a process share the frontier.
      const mine = turn.then(() => handOut(size, worker, most))
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
    settle: async () => {
      const ended = await settleCopy(target, migration, copy.epoch)
      if (ended === undefined) return 'ranges'
      if (ended + 1 >= parts.length) return 'nothing'
      return isSecondLook(ended + 1) ? 'second look' : 'ranges'
    },
    lookAgain: async () => {
      const next = (await positionNow()).part + 1
      const part = parts[next]
      if (part === undefined || !isSecondLook(next)) return
      await moveTo(next, (await ends.young(next, part)) === 0 ? undefined : await upperAt(next))
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

/** Whether all of the part was handed out. */
const isEnded = ({ after, upper }: Position): boolean =>
  upper === undefined || (after !== undefined && keyText(after) === keyText(upper))

const positionOf = ({ part, frontier, upper_key: upper }: CopyRow): Position => ({
  part,
  after: frontier ?? undefined,
  upper: upper ?? undefined,
})
