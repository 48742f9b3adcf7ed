import { createHash } from 'node:crypto'
import type { OpenRange } from './copy-chunk.ts'
import { ExecutionError, sqlStateOf } from './execution-error.ts'
import { countRows, type Key, keyAt, keyText, lastKey, within } from './keyset.ts'
import type { Mapping } from './mapping.ts'
import { inTransaction, type Sql, type Target } from './target.ts'

/** Where a copy reads, and where it writes and keeps its checkpoints; one database or two. */
export interface Places {
  readonly source: Sql
  readonly target: Target
}

/** One copy, as it stands in the target. */
export interface Copy {
  readonly upper: Key | undefined
  readonly total: number
  readonly done: { readonly rows: number; readonly changed: number; readonly chunks: number }
  /** Ranges that were handed out and are not done: of a run before this one. */
  readonly open: readonly OpenRange[]
  /** The next range of about `size` rows; undefined where all have been handed out. */
  next(size: number): Promise<OpenRange | undefined>
}

interface CopyRow extends Record<string, unknown> {
  readonly epoch: number
  readonly mapping: string
  readonly upper_key: Key | null
  readonly frontier: Key | null
  readonly total: number
}

/** Takes up the copy of this epoch, or begins it: another epoch's says nothing, for new was not written meanwhile. */
export async function openCopy(places: Places, mapping: Mapping, epoch: number): Promise<Copy> {
  const { source, target } = places
  const { migration } = mapping
  // What is copied, not how fast.
  const { from, to, key, columns, where } = mapping.copy
  const checksum = createHash('sha256')
    .update(JSON.stringify([from, to, key, columns, where]))
    .digest('hex')
  const found = await target.query<CopyRow>('select * from switchback.copies where migration = $1', [
    migration,
  ])
  let copy = found.rows[0]
  if (copy === undefined || copy.epoch !== epoch || copy.mapping !== checksum) {
    await requireKeys(source, mapping)
    copy = await beginCopy(places, mapping, epoch, checksum)
  }
  const upper = copy.upper_key ?? undefined
  const { rows: open } = await target.query<{ id: number; after_key: string[] | null; up_to_key: string[] }>(
    'select id, after_key, up_to_key from switchback.checkpoints where migration = $1 and not done order by id',
    [migration],
  )
  const { rows: sums } = await target.query<{ rows: number; changed: number; chunks: number }>(
    `select coalesce(sum(rows), 0)::float8 as rows, coalesce(sum(changed), 0)::float8 as changed,
            count(*) as chunks
     from switchback.checkpoints where migration = $1 and done`,
    [migration],
  )
  let frontier = copy.frontier ?? undefined
  let turn: Promise<unknown> = Promise.resolve()

  async function handOut(size: number): Promise<OpenRange | undefined> {
    if (upper === undefined || (frontier !== undefined && keyText(frontier) === keyText(upper)))
      return undefined
    // Looked up apart from the locked read: rows that vanish while a chunk waits for them end nothing.
    const after = frontier
    const upTo = (await keyAt(source, mapping.old, { after, upTo: upper }, size)) ?? upper
    const { rows } = await target.query<{ id: number }>(
      `with moved as (update switchback.copies set frontier = $3 where migration = $1)
       insert into switchback.checkpoints (migration, after_key, up_to_key) values ($1, $2, $3) returning id`,
      [migration, after ?? null, upTo],
    )
    frontier = upTo
    return { id: rows[0]?.id ?? 0, after, upTo }
  }

  return {
    upper,
    total: copy.total,
    done: sums[0] ?? { rows: 0, changed: 0, chunks: 0 },
    open: open.map(({ id, after_key, up_to_key }) => ({
      id,
      after: after_key ?? undefined,
      upTo: up_to_key,
    })),
    next: (size) => {
      // One at a time: the workers share the frontier.
      const mine = turn.then(() => handOut(size))
      turn = mine.catch(() => undefined)
      return mine
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
           upper_key = excluded.upper_key, frontier = null, total = excluded.total, began_at = clock_timestamp()
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

/** Cuts a range in two of about the same number of rows; undefined where it holds one key only. */
export async function splitRange(
  { source, target }: Places,
  mapping: Mapping,
  range: OpenRange,
): Promise<readonly [OpenRange, OpenRange] | undefined> {
  const { rows } = await source.query<{ count: number }>(
    `select count(*) as count from ${mapping.old.table} where ${within(mapping.old, {
      ...(range.after === undefined ? {} : { after: 1 }),
      ...(range.upTo === undefined ? {} : { upTo: range.after === undefined ? 1 : 2 }),
    })}`,
    [range.after, range.upTo].filter((key) => key !== undefined),
  )
  const count = rows[0]?.count ?? 0
  const middle = count < 2 ? undefined : await keyAt(source, mapping.old, range, count / 2)
  if (middle === undefined || range.upTo === undefined || keyText(middle) === keyText(range.upTo))
    return undefined
  const { rows: made } = await target.query<{ id: number }>(
    `with cut as (update switchback.checkpoints set up_to_key = $2 where id = $1 and not done returning migration)
     insert into switchback.checkpoints (migration, after_key, up_to_key) select migration, $2, $3 from cut
     returning id`,
    [range.id, middle, range.upTo],
  )
  const id = made[0]?.id
  if (id === undefined) return undefined
  return [
    { ...range, upTo: middle },
    { id, after: middle, upTo: range.upTo },
  ]
}

/** Writes down a row that cannot be copied, and goes on without it. */
export async function recordFailedRow(
  on: Sql,
  mapping: Mapping,
  range: OpenRange,
  error: Error,
): Promise<void> {
  await on.query(
    `with given_up as (update switchback.checkpoints set done = true where id = $1)
     insert into switchback.failed_rows (migration, key, sqlstate, error) values ($2, $3, $4, $5)
     on conflict (migration, key) do update set sqlstate = excluded.sqlstate, error = excluded.error,
       failed_at = clock_timestamp()`,
    [
      range.id,
      mapping.migration,
      keyText(range.upTo ?? []),
      sqlStateOf(error) ?? '',
      error.message.slice(0, 1000),
    ],
  )
}
