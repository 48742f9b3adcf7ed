import { among, type Difference, keyParams } from '../comparing/compare.ts'
import type { Compared, Comparing } from '../comparing/comparing.ts'
import { countRows, type Key, keyArray, keyText, rangeParams, sampleKeys, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { Connection, Sql, Target } from '../target/target.ts'
import { readOld } from '../two-targets/copy-far.ts'
import { planWalk } from '../walks/plan-walk.ts'
import type { Slice } from '../walks/slices.ts'
import type { CalledStep } from './called-step.ts'
import { repairByStep } from './copy-step.ts'
import { differencesOfRows, stepRows } from './step-rows.ts'
import { walkOld } from './walk-old.ts'

const SAMPLE = 200

export const LISTED: Slice = { name: 'keys of new', rows: 0, listed: true }

/** Which of these keys old has. */
export async function keysInOld(
  on: Sql,
  { old }: Mapping,
  keys: readonly Key[],
): Promise<ReadonlySet<string>> {
  if (keys.length === 0) return new Set()
  const { rows } = await on.query<{ key: string[] }>(
    `select ${keyArray(old.keys)} as key from ${old.table} where ${among(old, 1)} and ${within(old, {})}`,
    keyParams(keys, old.keys.length),
  )
  return new Set(rows.map(({ key }) => keyText(key)))
}

/** Old leads: each of its rows is read from the step by its key, and each key that the step lists is looked up. */
export function comparingByStep(target: Target, mapping: Mapping, step: CalledStep): Comparing {
  const nextRange = walkOld(target, mapping)

  async function compareListed(
    on: Connection,
    after: Key | undefined,
    end: Key | undefined,
  ): Promise<Compared> {
    const { keys, next } = (await step.keys?.(after?.[0])) ?? { keys: [] }
    const there = await keysInOld(on, mapping, keys)
    const extra = new Map(keys.filter((key) => !there.has(keyText(key))).map((key) => [keyText(key), key]))
    return {
      upTo: end ?? (next === undefined ? undefined : [next]),
      found: [...extra.values()].map((key): Difference => ({ key, kind: 'extra', columns: [] })),
      rows: keys.length,
    }
  }

  return {
    mapping,
    leader: 'old',
    slices: async () => [...(await planWalk(target, mapping)), ...(step.keys === undefined ? [] : [LISTED])],
    sample: async (on, seed) => {
      const keys = await sampleKeys(on, mapping.old, SAMPLE, seed)
      const scope = `${among(mapping.old, 1)} and ${within(mapping.old, {})}`
      const texts = await readOld(on, mapping, scope, keyParams(keys, mapping.old.keys.length), {
        unlocked: true,
      })
      const rows = stepRows(mapping, texts)
      return { keys: rows.length, differing: (await differencesOfRows(step, rows)).length }
    },
    count: async (on) => ({ old: await countRows(on, mapping.old) }),
    compare: async (on, slice, { after, upTo: end }) => {
      if (slice.listed === true) return compareListed(on, after, end)
      const { side, range } = await nextRange(on, slice, after, end)
      const { numbers, values } = rangeParams(range)
      const read = { table: side.table, unlocked: true }
      const rows = stepRows(mapping, await readOld(on, mapping, within(side, numbers), values, read))
      return { upTo: range.upTo, found: await differencesOfRows(step, rows), rows: rows.length }
    },
    repair: (on, keys) => repairByStep(on, mapping, step, keys),
    method: () =>
      step.keys === undefined
        ? 'each row of old read from the step by its key; what only new has was not looked for, since the step has no keys()'
        : 'each row of old read from the step by its key, each key of new looked up in old',
  }
}
