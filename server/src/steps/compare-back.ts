import type { StepValues } from '@switchback/migrations-registry'
import { among, type Difference, keyParams } from '../comparing/compare.ts'
import type { Comparing } from '../comparing/comparing.ts'
import { backColumns } from '../comparing/copy-back.ts'
import { type KeysRepaired, lockKeys } from '../comparing/repair-keys.ts'
import { quoteIdent } from '../db/db.ts'
import { countRows, type Key, keyArray, orderBy, rangeParams, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { ReverseMapping } from '../mapping/reverse-mapping.ts'
import { differs } from '../mapping/table-columns.ts'
import { ExecutionError } from '../target/execution-error.ts'
import { type Connection, inTransaction, type Sql, type Target } from '../target/target.ts'
import { READ_COMMITTED } from '../two-targets/both.ts'
import { standingExtras } from '../two-targets/compare-far.ts'
import { bases, type Texts, textsOf, unnested, writeOld } from '../two-targets/copy-far.ts'
import { planWalk } from '../walks/plan-walk.ts'
import type { CalledStep } from './called-step.ts'
import { LISTED } from './compare-step.ts'
import { walkOld } from './walk-old.ts'

/** New leads. */
export interface BackPair {
  readonly mapping: Mapping
  readonly reverse: ReverseMapping
}

/** What old should have of rows that new has: texts of their keys, then of `backColumns`. */
async function asOld(
  on: Sql,
  { mapping, reverse }: BackPair,
  rows: readonly (readonly [Key, StepValues])[],
): Promise<Texts> {
  const names = [...mapping.new.keys, ...mapping.columns.map(({ column }) => column.name)]
  const types = [...mapping.new.types, ...bases(mapping.columns)]
  const given: Texts = [
    ...mapping.new.keys.map((_, i) => rows.map(([key]) => key[i] ?? null)),
    ...mapping.columns.map(({ column }) => rows.map(([, values]) => values[column.name] ?? null)),
  ]
  const wanted = [
    ...mapping.new.keys.map((name) => `${quoteIdent(name)}::text`),
    ...backColumns(reverse).map(({ column, expression }) => `(${expression})::${column.base}::text`),
  ]
  return textsOf(
    on,
    `select ${wanted.map((value, i) => `${value} as t${i}`).join(', ')}
     from (${unnested(names.map(quoteIdent), types)}) new_rows`,
    given,
    wanted.length,
  )
}

/** Rows of new that old has not, or otherwise. */
async function behind(on: Sql, { mapping, reverse }: BackPair, texts: Texts): Promise<readonly Difference[]> {
  const { old } = mapping
  const all = backColumns(reverse)
  const source = unnested(
    [...old.keys.map((_, i) => `k${i}`), ...all.map((_, i) => `c${i}`)],
    [...old.types, ...bases(all)],
  )
  const has = [
    ...old.keys.map((key, i) => `${key} as k${i}`),
    ...reverse.columns.map(({ column }, i) => `${quoteIdent(column.name)} as c${i}`),
  ].join(', ')
  const unequal = reverse.columns.map(({ column }, i) => differs(column, `o.c${i}`, `n.c${i}`))
  const { rows } = await on.query<{ key: string[]; kind: 'missing' | 'differs' }>(
    `select ${keyArray(old.keys.map((_, i) => `n.k${i}`))} as key,
            case when o.k0 is null then 'missing' else 'differs' end as kind
     from (${source}) n left join (select ${has} from ${old.table} where ${within(old, {})}) o
       on ${old.keys.map((_, i) => `o.k${i} = n.k${i}`).join(' and ')}
     where ${['o.k0 is null', ...unequal].join(' or ')}`,
    texts,
  )
  return rows.map((row) => ({ ...row, columns: [] }))
}

interface InNew {
  readonly present: readonly (readonly [Key, StepValues])[]
  readonly absent: readonly Key[]
}

async function inNew(step: CalledStep, keys: readonly Key[]): Promise<InNew> {
  const values = await step.read(keys)
  return {
    present: keys.flatMap((key, i): [Key, StepValues][] => {
      const found = values[i]
      return found === undefined ? [] : [[key, found]]
    }),
    absent: keys.filter((_, i) => values[i] === undefined),
  }
}

async function differencesBack(
  on: Sql,
  pair: BackPair,
  { present, absent }: InNew,
): Promise<{ readonly texts: Texts; readonly found: readonly Difference[] }> {
  const texts = await asOld(on, pair, present)
  const extra = await standing(on, pair, absent)
  return { texts, found: [...(await behind(on, pair, texts)), ...extra] }
}

/** Rows of old that new has not, and that say something of their own. */
async function standing(on: Sql, pair: BackPair, keys: readonly Key[]): Promise<readonly Difference[]> {
  const { old } = pair.mapping
  const { rows } = await on.query<{ key: string[] }>(
    `select ${keyArray(old.keys)} as key from ${old.table} where ${among(old, 1)} and ${within(old, {})}`,
    keyParams(keys, old.keys.length),
  )
  const there = rows.map(({ key }) => key)
  const extra = await standingExtras({ old: on }, { leader: 'new', ...pair }, there)
  return extra.map((key): Difference => ({ key, kind: 'extra', columns: [] }))
}

/** Brings old to what the step reads under keys. To be called in a transaction that holds their locks. */
export async function settleBack(
  on: Connection,
  pair: BackPair,
  step: CalledStep,
  keys: readonly Key[],
): Promise<KeysRepaired> {
  const { mapping, reverse } = pair
  const { old } = mapping
  const fresh = await inNew(step, keys)
  const { texts, found } = await differencesBack(on, pair, fresh)
  if (found.length === 0) return { standing: found, left: [] }
  const params = keyParams(keys, old.keys.length)
  await on.query(
    `select from ${old.table} where ${among(old, 1)} order by ${orderBy(old)} for no key update`,
    params,
  )
  await writeOld(on, mapping, reverse, texts, params)
  return { standing: found, left: (await differencesBack(on, pair, fresh)).found }
}

/** The way back: each key that the step lists is compared with old, and each row of old is looked for in new. */
export function comparingBack(target: Target, pair: BackPair, step: CalledStep): Comparing {
  const { mapping, reverse } = pair
  const { keys: list } = step
  if (list === undefined) {
    throw new ExecutionError(
      'work-impossible',
      `the step of ${mapping.migration} has no keys(), which tells what new has: without it there is no way back to ${mapping.copy.from}`,
    )
  }
  const nextRange = walkOld(target, mapping)
  return {
    mapping,
    leader: 'new',
    reverse,
    slices: async () => [LISTED, ...(await planWalk(target, mapping))],
    sample: async (on) => {
      const fresh = await inNew(step, (await list(undefined)).keys)
      return { keys: fresh.present.length, differing: (await differencesBack(on, pair, fresh)).found.length }
    },
    count: async (on) => ({ old: await countRows(on, mapping.old) }),
    compare: async (on, slice, { after, upTo: end }) => {
      if (slice.listed === true) {
        const { keys, next } = await list(after?.[0])
        const fresh = await inNew(step, keys)
        const { found } = await differencesBack(on, pair, { ...fresh, absent: [] })
        return { upTo: end ?? (next === undefined ? undefined : [next]), found, rows: keys.length }
      }
      const { side, range } = await nextRange(on, slice, after, end)
      const { numbers, values } = rangeParams(range)
      const { rows } = await on.query<{ key: string[] }>(
        `select ${keyArray(mapping.old.keys)} as key from ${side.table} where ${within(side, numbers)}`,
        values,
      )
      const { absent } = await inNew(
        step,
        rows.map(({ key }) => key),
      )
      return { upTo: range.upTo, found: await standing(on, pair, absent), rows: rows.length }
    },
    repair: (on, keys) =>
      inTransaction(on, READ_COMMITTED, async () => {
        await lockKeys(on, { mapping }, keys)
        return settleBack(on, pair, step, keys)
      }),
    method: () =>
      'each key of new read from the step and compared with old, each row of old looked for in new',
  }
}
