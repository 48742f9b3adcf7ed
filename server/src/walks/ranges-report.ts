import { isThere } from '../comparing/repairs.ts'
import type { CopiedRange } from '../execution/execution-port.ts'
import type { RangesProgress } from '../phases/phase-service.ts'
import type { Sql } from '../target/target.ts'
import type { Part } from './walk.ts'

interface Row extends Record<string, unknown> {
  readonly parts: readonly Part[] | null
  readonly part: number
  readonly ended: boolean
}

interface Sum extends Record<string, unknown> {
  readonly part: number
  readonly rows: number
  readonly open: number
}

/** All of old by its keys; what is gone through once more afterwards is no range either. */
const isWhole = ({ blocks, values }: Part): boolean => blocks === undefined && values === undefined

/** The ranges of a copy, in the order in which they are done; none where it goes through all of old at once. */
export async function listRanges(on: Sql, migration: string): Promise<readonly CopiedRange[]> {
  if (!(await isThere(on, 'switchback.copies'))) return []
  const copies = await on.query<Row>(
    `select parts, part, upper_key is null or frontier is not distinct from upper_key as ended
     from switchback.copies where migration = $1`,
    [migration],
  )
  const [copy] = copies.rows
  if (copy === undefined || copy.parts === null || copy.parts.every(isWhole)) return []
  const { rows } = await on.query<Sum>(
    `select part, sum(rows)::float8 as rows, count(*) filter (where not done) as open
     from switchback.checkpoints where migration = $1 group by part`,
    [migration],
  )
  const sums = new Map(rows.map((row) => [row.part, row]))
  return copy.parts.map(({ name, rows: total }, part) => {
    const { rows: copied = 0, open = 0 } = sums.get(part) ?? {}
    const handedOut = part < copy.part || (part === copy.part && copy.ended)
    const state = handedOut && open === 0 ? 'done' : part > copy.part ? 'waiting' : 'copying'
    return { name, state, rows: copied, total: state === 'done' ? copied : Math.max(total, copied) }
  })
}

export function summary(ranges: readonly CopiedRange[]): RangesProgress | undefined {
  if (ranges.length < 2) return undefined
  return {
    all: ranges.length,
    done: ranges.filter(({ state }) => state === 'done').length,
    active: ranges
      .filter(({ state }) => state === 'copying')
      .map(({ name, rows, total }) => ({ name, rows, total })),
  }
}
