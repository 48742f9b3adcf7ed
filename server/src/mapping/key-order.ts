import { inTransaction, type Sql, type Target } from '../target/target.ts'
import { orderBy, type Side, within } from './keyset.ts'

interface Plan {
  readonly 'Node Type': string
  readonly 'Plan Rows': number
  readonly 'Relation Name'?: string
  readonly Plans?: readonly Plan[]
}

async function planOf(on: Sql, query: string): Promise<Plan> {
  const { rows } = await on.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`explain (format json) ${query}`)
  const plan = rows[0]?.['QUERY PLAN'][0].Plan
  if (plan === undefined) throw new Error('explain has shown no plan')
  return plan
}

const nodes = (plan: Plan): readonly Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)]

/** How the rows of a side can be had in the order of its keys. */
export interface KeyOrder {
  /** `index`: as they come out of one; `nearly`: by the first part of the key, its equals are sorted. */
  readonly by: 'index' | 'nearly' | 'sort'
  /** Tables that are read, partitions by themselves. */
  readonly tables: number
}

/**
 * Asks the planner, to whom sorting is made as dear as can be: whoever sorts all the same has no index for it.
 * It knows what no comparison of texts does: expressions, collations, directions, partial indexes, partitions.
 */
export const keyOrder = (target: Target, side: Side): Promise<KeyOrder> =>
  target.connection((on) =>
    inTransaction(on, 'begin read only', async () => {
      await on.query(
        `set local enable_seqscan = off; set local enable_bitmapscan = off; set local enable_sort = off`,
      )
      const plan = await planOf(
        on,
        `select ${side.keys.join(', ')} from ${side.table} where ${within(side, {})} order by ${orderBy(side)}`,
      )
      const all = nodes(plan)
      const sorts = (type: string) => all.some((node) => node['Node Type'] === type)
      return {
        by: sorts('Sort') ? 'sort' : sorts('Incremental Sort') ? 'nearly' : 'index',
        tables: all.filter((node) => node['Relation Name'] !== undefined).length,
      }
    }),
  )

/** What the planner thinks how many rows a side has. */
export async function estimatedRows(on: Sql, side: Side): Promise<number> {
  const plan = await planOf(on, `select from ${side.table} where ${within(side, {})}`)
  return plan['Plan Rows']
}
