import type { MigrationDefinition, Path } from '@switchback/migrations-registry'
import { quoteIdent } from '../db/db.ts'
import type { Side } from '../mapping/keyset.ts'
import { alike, copyOf, type Mapping, requireUnique, typeOf } from '../mapping/mapping.ts'
import { type ReverseMapping, reverseMapping } from '../mapping/reverse-mapping.ts'
import { type Column, columnsOf, type TableColumns } from '../mapping/table-columns.ts'
import { ExecutionError } from '../target/execution-error.ts'
import type { Connection, Sql, Target } from '../target/target.ts'

/** The databases of the two paths. */
export type Targets = Readonly<Record<Path, Target>>
/** A connection to each. */
export type Connections = Readonly<Record<Path, Connection>>

/** SQL of one path's values as text, in an order that both paths share. */
export interface TextSide extends Side {
  readonly values: readonly string[]
}

/** A mapping between tables of two databases, and who leads. Its `old` and `new` are good in their own only. */
export interface FarPair {
  readonly mapping: Mapping
  readonly leader: Path
  /** There where new leads. */
  readonly reverse: ReverseMapping | undefined
  /** What the leader says, and what the other path holds: equal texts are equal values. */
  readonly old: TextSide
  readonly new: TextSide
}

const far = (base: string, value: string): string => `(${value})::${base}::text`

/** @throws ExecutionError that says what the mapping and the databases disagree about */
export async function describeFarMapping(
  on: Readonly<Record<Path, Sql>>,
  definition: MigrationDefinition,
): Promise<Mapping> {
  const copy = copyOf(definition)
  const from = await columnsOf(on.old, copy.from)
  const to = await columnsOf(on.new, copy.to)
  const columnOf = (name: string): Column => {
    const column = to.columns.get(name)
    if (column === undefined) {
      throw new ExecutionError('work-impossible', `${copy.to} has no column "${name}", which copy names`)
    }
    return column
  }
  await requireUnique(on.new, to, Object.keys(copy.key))
  const sortAlike = (await sorting(on.old)) === (await sorting(on.new))
  const keys = await Promise.all(
    Object.entries(copy.key).map(([name, expression]) =>
      describeKey({ on, from, to, column: columnOf(name), expression, sortAlike }),
    ),
  )
  const columns = Object.entries(copy.columns).map(([name, expression]) => ({
    column: columnOf(name),
    expression,
  }))
  for (const { column } of columns) await requireType(on.old, column, copy.from)
  return {
    migration: definition.id,
    copy,
    from,
    to,
    keyColumns: keys.map(({ column }) => column),
    old: {
      table: from.table,
      keys: keys.map(({ old }) => old),
      types: keys.map(({ oldType }) => oldType),
      ...foundBy(keys.map(({ old, oldFound }) => [old, oldFound])),
      ...(copy.where === undefined ? {} : { where: copy.where }),
    },
    new: {
      table: to.table,
      keys: keys.map((key) => key.new),
      types: keys.map(({ column }) => column.base),
      ...foundBy(keys.map((key) => [key.new, quoteIdent(key.column.name)])),
    },
    columns,
  }
}

/** @throws ExecutionError where new leads and the mapping cannot be inverted */
export async function farPair(
  on: Readonly<Record<Path, Sql>>,
  mapping: Mapping,
  leader: Path,
): Promise<FarPair> {
  const { compare = {} } = mapping.copy
  const meant = (name: string, text: string): string =>
    compare[name] === 'json' ? `(${text})::jsonb::text` : text
  if (leader === 'old') {
    return {
      mapping,
      leader,
      reverse: undefined,
      old: {
        ...mapping.old,
        values: mapping.columns.map(({ column, expression }) =>
          meant(column.name, far(column.type, expression)),
        ),
      },
      new: {
        ...mapping.new,
        values: mapping.columns.map(({ column }) => meant(column.name, `${quoteIdent(column.name)}::text`)),
      },
    }
  }
  const reverse = await reverseMapping(mapping)
  for (const { column } of [...reverse.columns, ...reverse.keyColumns]) {
    await requireType(on.new, column, mapping.to.name)
  }
  return {
    mapping,
    leader,
    reverse,
    old: { ...mapping.old, values: reverse.columns.map(({ column }) => `${quoteIdent(column.name)}::text`) },
    new: {
      ...mapping.new,
      values: reverse.columns.map(({ column, expression }) => far(column.type, expression)),
    },
  }
}

/** What the order of texts depends on, as far as PostgreSQL knows. */
async function sorting(on: Sql): Promise<string> {
  const { rows } = await on.query<{ database: Record<string, unknown> }>(
    'select to_jsonb(d) as database from pg_database d where datname = current_database()',
  )
  const database = rows[0]?.database ?? {}
  const parts = ['encoding', 'datlocprovider', 'datcollate', 'daticulocale', 'datlocale', 'datcollversion']
  return JSON.stringify(parts.map((part) => database[part] ?? null))
}

interface KeyInput {
  readonly on: Readonly<Record<Path, Sql>>
  readonly from: TableColumns
  readonly to: TableColumns
  readonly column: Column
  readonly expression: string
  readonly sortAlike: boolean
}

/** Ranges of keys must hold the same keys in both databases: texts that may sort differently go by "C". */
async function describeKey({ on, from, to, column, expression, sortAlike }: KeyInput) {
  const one = await typeOf(on.old, from, expression)
  const other = await typeOf(on.new, to, quoteIdent(column.name))
  const cast = !alike(one.base, other.base)
  if (cast) await requireType(on.old, column, from.name)
  const bytewise = other.collation !== null && !(sortAlike && !cast && one.collation === other.collation)
  const collate = (key: string): string => (bytewise ? `(${key} collate "C")` : key)
  const oldFound = cast ? `((${expression})::${column.base})` : `(${expression})`
  return {
    column,
    oldFound,
    old: collate(oldFound),
    oldType: cast ? column.base : one.base === 'bpchar' ? 'bpchar' : one.type,
    new: collate(quoteIdent(column.name)),
  }
}

/** Equal texts have equal bytes: a key that is sorted by these is looked up by the index that there is. */
function foundBy(parts: readonly (readonly [sorted: string, found: string])[]): Pick<Side, 'found'> {
  return parts.every(([sorted, found]) => sorted === found) ? {} : { found: parts.map(([, found]) => found) }
}

/** Values are cast where they are read, so that both databases write them the same way. */
async function requireType(on: Sql, { name, base }: Column, table: string): Promise<void> {
  const { rows } = await on.query<{ there: boolean }>('select to_regtype($1) is not null as there', [base])
  if (rows[0]?.there === true) return
  throw new ExecutionError(
    'work-impossible',
    `the type ${base} of column "${name}" is not known in the database of ${table}, where it is copied from`,
  )
}
