import { isThere } from '../comparing/repairs.ts'
import type { Sql } from '../target/target.ts'

/** Neighbouring chunks of a copy, drawn as one cell. */
export interface ChunkCell {
  readonly chunks: number
  /** Handed out and not done: being copied, or waiting for whoever had it. */
  readonly open: number
  readonly rows: number
  /** Rows of new that were written; the others were equal already. */
  readonly changed: number
  /** Of the slowest chunk and on average; undefined until one is done. */
  readonly slowestMs?: number
  readonly meanMs?: number
  /** Rows in it that could not be copied. */
  readonly failed: number
  /** Where it begins (exclusive; undefined: at the first key) and ends, as text. */
  readonly after?: string
  readonly upTo: string
}

export interface CopyCells {
  readonly epoch: number
  readonly beganAt: number
  /** Rows of old when it began. */
  readonly total: number
  readonly chunks: number
  readonly done: number
  readonly rows: number
  readonly failed: number
  /** Half of the chunks were faster. */
  readonly medianMs?: number
  readonly cells: readonly ChunkCell[]
}

interface CopyRow extends Record<string, unknown> {
  readonly epoch: number
  readonly began_at: Date
  readonly total: number
  readonly chunks: number
  readonly done: number
  readonly rows: number
  readonly failed: number
  readonly medianMs: number | null
}

interface CellRow extends Record<string, unknown> {
  readonly chunks: number
  readonly open: number
  readonly rows: number
  readonly changed: number
  readonly slowestMs: number | null
  readonly meanMs: number | null
  readonly failed: number
  readonly after: string | null
  readonly upTo: string
}

const KEY = (column: string): string => `array_to_string(${column}, ', ')`

/**
 * The last copy of a migration, its chunks in at most `cells` cells in the order in which they were handed out;
 * undefined where nothing has been copied. However many chunks there are, so many cells are answered.
 */
export async function chunkCells(
  target: Sql,
  migration: string,
  cells: number,
): Promise<CopyCells | undefined> {
  if (!(await isThere(target, 'switchback.checkpoints'))) return undefined
  const { rows: copies } = await target.query<CopyRow>(
    `select c.epoch, c.began_at, c.total, count(k.id) as chunks, count(k.id) filter (where k.done) as done,
       coalesce(sum(k.rows), 0)::bigint as rows,
       percentile_cont(0.5) within group (order by k.ms) as "medianMs",
       (select count(*) from switchback.failed_rows f where f.migration = c.migration) as failed
     from switchback.copies c left join switchback.checkpoints k on k.migration = c.migration
     where c.migration = $1 group by c.migration`,
    [migration],
  )
  const [copy] = copies
  if (copy === undefined) return undefined
  const { rows } = await target.query<CellRow>(
    `with chunks as (
       select k.*, ((row_number() over (order by k.id) - 1) * least($2, count(*) over ()) / count(*) over ())::int as cell,
         f.key is not null as failed
       from switchback.checkpoints k left join switchback.failed_rows f
         on f.migration = k.migration and f.key = array_to_string(k.up_to_key, chr(31))
       where k.migration = $1)
     select count(*) as chunks, count(*) filter (where not done) as open, sum(rows)::bigint as rows,
       sum(changed)::bigint as changed, max(ms) as "slowestMs", avg(ms)::float8 as "meanMs",
       count(*) filter (where failed) as failed,
       (array_agg(${KEY('after_key')} order by id))[1] as after,
       (array_agg(${KEY('up_to_key')} order by id desc))[1] as "upTo"
     from chunks group by cell order by cell`,
    [migration, cells],
  )
  const { epoch, began_at: began, total, chunks, done, rows: copied, failed, medianMs } = copy
  return {
    ...{ epoch, beganAt: began.getTime(), total, chunks, done, rows: copied, failed },
    ...(medianMs === null ? {} : { medianMs }),
    cells: rows.map(({ slowestMs, meanMs, after, ...cell }) => ({
      ...cell,
      ...(slowestMs === null ? {} : { slowestMs }),
      ...(meanMs === null ? {} : { meanMs }),
      ...(after === null ? {} : { after }),
    })),
  }
}
