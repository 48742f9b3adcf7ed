import type { StepKey, StepRow, StepValues } from '@switchback/migrations-registry'
import { among, type Difference, keyParams } from '../comparing/compare.ts'
import { type Key, keyText, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { Sql } from '../target/target.ts'
import { readOld, type Texts } from '../two-targets/copy-far.ts'
import type { CalledStep } from './called-step.ts'

/** Rows of old as a step is given them, from one list of texts for each part of the key and each column. */
export function stepRows({ old, columns }: Mapping, texts: Texts): readonly StepRow[] {
  const parts = old.keys.length
  return (texts[0] ?? []).map((_, row) => ({
    key: texts.slice(0, parts).map((part) => part[row] ?? ''),
    values: Object.fromEntries(
      columns.map(({ column }, i): [string, string | null] => [column.name, texts[parts + i]?.[row] ?? null]),
    ),
  }))
}

/** Rows of old under keys, locked: a writer that is not done yet is waited for. */
export async function rowsUnder(
  on: Sql,
  mapping: Mapping,
  keys: readonly Key[],
): Promise<readonly StepRow[]> {
  const { old } = mapping
  const scope = `${among(old, 1)} and ${within(old, {})}`
  return stepRows(mapping, await readOld(on, mapping, scope, keyParams(keys, old.keys.length)))
}

/** Longer values are told by their beginning. */
const SHOWN = 200

/** What new has, beside what it should have; undefined where both are the same. */
export function differenceOf(
  step: CalledStep,
  { key, values }: StepRow,
  fresh: StepValues | undefined,
): Difference | undefined {
  if (fresh === undefined) return { key, kind: 'missing', columns: [] }
  const columns = Object.entries(values).filter(
    ([name, value]) => !step.equal(name, value, fresh[name] ?? null),
  )
  if (columns.length === 0) return undefined
  const short = (value: string | null | undefined) => value?.slice(0, SHOWN) ?? null
  return {
    ...{ key, kind: 'differs', columns: columns.map(([name]) => name) },
    values: Object.fromEntries(
      columns.map(([name, value]) => [name, { old: short(value), new: short(fresh[name]) }]),
    ),
  }
}

/** Rows of old that new has not, or otherwise. */
export async function differencesOfRows(
  step: CalledStep,
  rows: readonly StepRow[],
): Promise<readonly Difference[]> {
  const fresh = await step.read(rows.map(({ key }) => key))
  return rows.flatMap((row, i) => differenceOf(step, row, fresh[i]) ?? [])
}

/** Differences of keys as they are now, of which old may have no row; of use under their locks. */
export async function differencesUnder(
  on: Sql,
  mapping: Mapping,
  step: CalledStep,
  keys: readonly Key[],
): Promise<readonly Difference[]> {
  const rows = await rowsUnder(on, mapping, keys)
  const there = new Set(rows.map(({ key }) => keyText(key)))
  const gone = keys.filter((key) => !there.has(keyText(key)))
  const left = await step.read(gone)
  const extra = gone.filter((_, i) => left[i] !== undefined)
  return [
    ...(await differencesOfRows(step, rows)),
    ...extra.map((key: StepKey): Difference => ({ key, kind: 'extra', columns: [] })),
  ]
}
