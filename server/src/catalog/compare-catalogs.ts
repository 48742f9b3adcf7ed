import { createHash } from 'node:crypto'
import { type Catalog, type CatalogObject, nameOf } from './catalog.ts'

/** One object that is not the same in two catalogs. */
export interface CatalogDifference {
  /** `column public.users.bio` */
  readonly object: string
  readonly kind: 'missing' | 'unexpected' | 'changed'
  readonly expected?: string
  readonly found?: string
}

type ByName = ReadonlyMap<string, CatalogObject>

export const byName = (catalog: Catalog): ByName => new Map(catalog.map((object) => [nameOf(object), object]))

/** Equal for schemas that are the same, whatever the numbers of their objects are. */
export function fingerprint(catalog: Catalog): string {
  const lines = [...catalog].map((object) => `${nameOf(object)}\n${object.definition}`).sort()
  return createHash('sha256')
    .update([...lines, ...columnOrders(catalog)].join('\n'))
    .digest('hex')
}

/** What is missing, unexpected or changed in `found`, in the order of names. */
export function compareCatalogs(expected: Catalog, found: Catalog): readonly CatalogDifference[] {
  const before = byName(expected)
  const after = byName(found)
  const differences: CatalogDifference[] = []
  for (const object of new Set([...before.keys(), ...after.keys()])) {
    const difference = compareOne(object, before.get(object)?.definition, after.get(object)?.definition)
    if (difference !== undefined) differences.push(difference)
  }
  const orders = new Map(columnOrders(expected, after).map((line) => split(line)))
  for (const [table, order] of columnOrders(found, before).map((line) => split(line))) {
    const wanted = orders.get(table)
    if (wanted === undefined || wanted === order) continue
    differences.push({
      object: `order of columns of ${table}`,
      kind: 'changed',
      expected: wanted,
      found: order,
    })
  }
  return differences.sort((a, b) => (a.object < b.object ? -1 : 1))
}

export function compareOne(
  object: string,
  expected: string | undefined,
  found: string | undefined,
): CatalogDifference | undefined {
  if (expected === found) return undefined
  if (found === undefined) return { object, kind: 'missing', ...(expected === undefined ? {} : { expected }) }
  if (expected === undefined) return { object, kind: 'unexpected', found }
  return { object, kind: 'changed', expected, found }
}

const split = (line: string): [string, string] => {
  const at = line.indexOf(': ')
  return [line.slice(0, at), line.slice(at + 2)]
}

/** `table: a, b, c` for each table; of the columns that are in `common` too, where it is given. */
function columnOrders(catalog: Catalog, common?: ByName): readonly string[] {
  const tables = new Map<string, CatalogObject[]>()
  for (const object of catalog) {
    if (object.kind !== 'column' || (common !== undefined && !common.has(nameOf(object)))) continue
    const table = `${object.schema}.${object.relation}`
    tables.set(table, [...(tables.get(table) ?? []), object])
  }
  return [...tables].map(([table, columns]) => {
    const ordered = [...columns].sort((a, b) => (a.position ?? 0) - (b.position ?? 0))
    return `${table}: ${ordered.map(({ name }) => name).join(', ')}`
  })
}

export const differenceText = ({ object, kind, expected, found }: CatalogDifference): string => {
  if (kind === 'missing') return `${object} is missing (${brief(expected)})`
  if (kind === 'unexpected') return `${object} was not there before (${brief(found)})`
  return `${object} is ${brief(found)}, expected ${brief(expected)}`
}

const brief = (text = ''): string => {
  const flat = text.replaceAll(/\s+/g, ' ')
  return flat.length > 120 ? `${flat.slice(0, 119)}…` : flat
}
