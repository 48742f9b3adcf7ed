import { createHash } from 'node:crypto'
import type { OpenRange } from './copy-chunk.ts'
import { ExecutionError, WorkStopped } from './execution-error.ts'
import { countRows, type Key, keyAt, keyText, lastKey, within } from './keyset.ts'
import type { Mapping } from './mapping.ts'
import { WITHOUT_WAITING } from './settle-copy.ts'
import { inTransaction, type Sql, type Target } from './target.ts'

/** Where a copy reads, and where it writes and keeps its checkpoints; one database or two. */
export interface Places {
  readonly source: Sql
  readonly target: Target
}

/** One copy, as it stands in the target; any number of processes may share it. */
export interface Copy {
  readonly total: number
  /** The next range of about `size` rows; undefined where all have been handed out. */
  next(size: number, worker: string): Promise<OpenRange | undefined>
  /**
   * A range that was handed out, is not done, and that nobody is copying now: whoever had it has died, given it
   * up, or not come to it yet. `busy` where there are such, but all are being copied.
   */
  leftOver(worker: string): Promise<OpenRange | 'busy' | undefined>
}

interface CopyRow extends Record<string, unknown> {
  readonly epoch: number
  readonly mapping: string
  readonly upper_key: Key | null
  readonly frontier: Key | null
  readonly total: number
}

// What is copied, not how fast.
const checksumOf = ({ copy: { from, to, key, columns, where } }: Mapping): string =>
  createHash('sha256')
    .update(JSON.stringify([from, to, key, columns, where]))
    .digest('hex')

/** The copy of this epoch, where it has begun: another epoch's says nothing, for new was not written meanwhile. */
export async function joinCopy(places: Places, mapping: Mapping, epoch: number): Promise<Copy | undefined> {
  const { rows } = await places.target.query<CopyRow>(
    'select * from switchback.copies where migration = $1 and epoch = $2 and mapping = $3',
    [mapping.migration, epoch, checksumOf(mapping)],
  )
  return rows[0] === undefined ? undefined : copyOn(places, mapping, rows[0])
}

/** Takes up the copy of this epoch, or begins it. */
export async function openCopy(places: Places, mapping: Mapping, epoch: number): Promise<Copy> {
  const begun = await joinCopy(places, mapping, epoch)
  if (begun !== undefined) return begun
  await requireKeys(places.source, mapping)
  return copyOn(places, mapping, await beginCopy(places, mapping, epoch, checksumOf(mapping)))
}

function copyOn({ source, target }: Places, mapping: Mapping, copy: CopyRow): Copy {
  const { migration } = mapping
  const upper = copy.upper_key ?? undefined
  let frontier = copy.frontier ?? undefined
  let turn: Promise<unknown> = Promise.resolve()

  async function handOut(size: number, worker: string): Promise<OpenRange | undefined> {
    for (;;) {
      if (upper === undefined || (frontier !== undefined && keyText(frontier) === keyText(upper)))
        return undefined
      // Looked up apart from the locked read: rows that vanish while a chunk waits for them end nothing.
      const after = frontier
      const upTo = (await keyAt(source, mapping.old, { after, upTo: upper }, size)) ?? upper
      const { rows } = await target.query<{ id: number }>(
        `with moved as (
           update switchback.copies set frontier = $3
           where migration = $1 and epoch = $4 and frontier is not distinct from $2::text[]
             and ${WITHOUT_WAITING} returning migration
         )
         insert into switchback.checkpoints (migration, after_key, up_to_key, worker)
         select migration, $2, $3, $5 from moved returning id`,
        [migration, after ?? null, upTo, copy.epoch, worker],
      )
      const id = rows[0]?.id
      frontier = id === undefined ? await frontierNow() : upTo
      if (id !== undefined) return { id, after, upTo }
    }
  }

  /** Where another process has moved it to. */
  async function frontierNow(): Promise<Key | undefined> {
    const { rows } = await target.query<CopyRow>(
      'select * from switchback.copies where migration = $1 and epoch = $2',
      [migration, copy.epoch],
    )
    if (rows[0] === undefined) throw new WorkStopped('another copy has begun')
    return rows[0].frontier ?? undefined
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
      const { rows } = await target.query<{ id: number; after_key: Key | null; up_to_key: Key }>(
        `update switchback.checkpoints set worker = $2 where id = (
           select id from switchback.checkpoints where migration = $1 and not done order by id
           for update skip locked limit 1
         ) and not done returning id, after_key, up_to_key`,
        [migration, worker],
      )
      const [row] = rows
      if (row !== undefined) return { id: row.id, after: row.after_key ?? undefined, upTo: row.up_to_key }
      const { rowCount } = await target.query(
        'select from switchback.checkpoints where migration = $1 and not done limit 1',
        [migration],
      )
      return rowCount === 0 ? undefined : 'busy'
    },
  }
}

async function beginCopy(
  { source, target }: Places,
  mapping: Mapping,
  epoch: number,
  checksum: string,
): Promise<CopyRow> {
  const { migration } = mapping
  // Rows that come later are the dual write's: the copy ends however fast they come.
  const upper = await lastKey(source, mapping.old)
  const total = await countRows(source, mapping.old)
  return target.connection((connection) =>
    inTransaction(connection, 'begin', async () => {
      await connection.query('delete from switchback.checkpoints where migration = $1', [migration])
      await connection.query('delete from switchback.failed_rows where migration = $1', [migration])
      const { rows } = await connection.query<CopyRow>(
        `insert into switchback.copies (migration, epoch, mapping, upper_key, total) values ($1, $2, $3, $4, $5)
         on conflict (migration) do update set epoch = excluded.epoch, mapping = excluded.mapping,
           upper_key = excluded.upper_key, frontier = null, total = excluded.total, began_at = clock_timestamp(),
           ended_at = null
         returning *`,
        [migration, epoch, checksum, upper ?? null, total],
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
