import { keyAt, keyText, within } from '../mapping/keyset.ts'
import type { Places } from './checkpoints.ts'
import type { OpenRange } from './copy-chunk.ts'

/**
 * Cuts a range in two of about the same number of rows. `single` where it holds one key only; undefined where
 * it is to be looked at anew: it is empty by now, or somebody else has copied or cut it.
 */
export async function splitRange(
  { source, target }: Places,
  range: OpenRange,
): Promise<readonly [OpenRange, OpenRange] | 'single' | undefined> {
  const { rows } = await source.query<{ count: number }>(
    `select count(*) as count from ${range.side.table} where ${within(range.side, {
      ...(range.after === undefined ? {} : { after: 1 }),
      ...(range.upTo === undefined ? {} : { upTo: range.after === undefined ? 1 : 2 }),
    })}`,
    [range.after, range.upTo].filter((key) => key !== undefined),
  )
  const count = rows[0]?.count ?? 0
  // What was at fault has gone: the range is free for whoever looks for what is left over.
  if (count === 0) return undefined
  const middle = count < 2 ? undefined : await keyAt(source, range.side, range, count / 2)
  if (middle === undefined || range.upTo === undefined || keyText(middle) === keyText(range.upTo))
    return 'single'
  const { rows: made } = await target.query<{ id: number }>(
    `with cut as (
       update switchback.checkpoints set up_to_key = $2 where id = $1 and not done and up_to_key = $3
       returning migration, part, worker
     )
     insert into switchback.checkpoints (migration, part, after_key, up_to_key, worker)
     select migration, part, $2, $3, worker from cut returning id`,
    [range.id, middle, range.upTo],
  )
  const id = made[0]?.id
  if (id === undefined) return undefined
  return [
    { ...range, upTo: middle },
    { ...range, id, after: middle },
  ]
}
