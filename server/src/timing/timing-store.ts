import type { Timing } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'

/** Windows and freezes that people have set for a target. */
export interface SetTiming {
  readonly windows: readonly string[]
  readonly freezes: readonly string[]
  readonly reason: string
  readonly at: number
  readonly by: string
}

interface Row extends Record<string, unknown> {
  readonly target: string
  readonly windows: readonly string[]
  readonly freezes: readonly string[]
  readonly reason: string
  readonly set_at: Date
  readonly set_by: string
}

export async function listTiming(on: Queryable): Promise<ReadonlyMap<string, SetTiming>> {
  const { rows } = await on.query<Row>('select * from target_timing')
  return new Map(
    rows.map(({ target, windows, freezes, reason, set_at, set_by }) => [
      target,
      { windows, freezes, reason, at: set_at.getTime(), by: set_by },
    ]),
  )
}

export async function saveTiming(on: Queryable, target: string, timing: SetTiming): Promise<void> {
  const { windows, freezes, reason, at, by } = timing
  await on.query(
    `insert into target_timing (target, windows, freezes, reason, set_at, set_by) values ($1, $2, $3, $4, $5, $6)
     on conflict (target) do update set windows = excluded.windows, freezes = excluded.freezes,
       reason = excluded.reason, set_at = excluded.set_at, set_by = excluded.set_by`,
    [target, windows, freezes, reason, new Date(at), by],
  )
}

const NO_TIMING: Timing = { windows: [], freezes: [], load: {} }

/** What holds for a target: what is configured, and what people have set beside it. */
export function createTimingOf(
  db: Queryable,
  configured: Readonly<Record<string, Timing>>,
): (target: string) => Promise<Timing> {
  return async (target) => {
    const timing = configured[target] ?? NO_TIMING
    const { rows } = await db.query<Row>('select * from target_timing where target = $1', [target])
    const [set] = rows
    if (set === undefined) return timing
    return {
      ...timing,
      windows: [...timing.windows, ...set.windows],
      freezes: [...timing.freezes, ...set.freezes],
    }
  }
}
