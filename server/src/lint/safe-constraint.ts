import type { Constraint, RangeVar } from 'libpg-query'
import { keyOf, names } from './ast.ts'
import { type Context, tableText } from './context.ts'
import type { Statement } from './script.ts'
import { ident, identifiers, newName, type Span } from './text.ts'

/** The safe way in three groups; what is `inline` may share one ALTER TABLE with others. */
export interface SafeWay {
  readonly before?: readonly string[]
  readonly inline?: readonly string[]
  readonly after?: readonly string[]
}

const ENDINGS: Readonly<Record<string, string>> = {
  CONSTR_FOREIGN: 'fkey',
  CONSTR_CHECK: 'check',
  CONSTR_NOTNULL: 'not_null',
  CONSTR_UNIQUE: 'key',
  CONSTR_PRIMARY: 'pkey',
}

const columnsOfConstraint = ({ keys, fk_attrs }: Constraint): readonly string[] => [
  ...names(keys),
  ...names(fk_attrs),
]

export function constraintName(range: RangeVar, constraint: Constraint, columns?: readonly string[]): string {
  if (constraint.conname !== undefined && constraint.conname !== '') return constraint.conname
  const of = columns ?? columnsOfConstraint(constraint)
  const ending = ENDINGS[constraint.contype ?? ''] ?? 'constraint'
  const table = range.relname ?? ''
  return constraint.contype === 'CONSTR_PRIMARY' ? newName(table, ending) : newName(table, ...of, ending)
}

/** The words of a constraint without ADD and without its name. */
export function constraintBody(statement: Statement, span: Span): string {
  const words = statement.tokens.filter(({ start, end }) => start >= span.start && end <= span.end)
  let at = words[0]?.text.toLowerCase() === 'add' ? 1 : 0
  if (words[at]?.text.toLowerCase() === 'constraint') at += 2
  return statement.source.slice(words[at]?.start ?? span.start, span.end)
}

/** Added without looking at the rows that are there, and proved afterwards while everybody works on. */
export function notValidThenValidate(range: RangeVar, name: string, body: string): SafeWay {
  return {
    inline: [`ADD CONSTRAINT ${ident(name)} ${body} NOT VALID`],
    after: [`ALTER TABLE ${tableText(range)} VALIDATE CONSTRAINT ${ident(name)}`],
  }
}

/** An index for the columns of a foreign key, where none is known. */
export function indexFor(range: RangeVar, columns: readonly string[], context: Context): readonly string[] {
  if (context.world.indexed(keyOf(range), columns)) return []
  const concurrently = context.world.tables.has(keyOf(range)) ? '' : ' CONCURRENTLY'
  const name = ident(newName(range.relname ?? '', ...columns, 'idx'))
  return [`CREATE INDEX${concurrently} ${name} ON ${tableText(range)} (${identifiers(columns)})`]
}

/** UNIQUE or PRIMARY KEY on an index that was built while everybody worked on. */
export function constraintOnIndex(
  range: RangeVar,
  constraint: Constraint,
  columns: readonly string[],
): SafeWay {
  const name = ident(constraintName(range, constraint, columns))
  const table = tableText(range)
  const including = names(constraint.including)
  const index = [
    `CREATE UNIQUE INDEX CONCURRENTLY ${name} ON ${table} (${identifiers(columns)})`,
    ...(including.length === 0 ? [] : [`INCLUDE (${identifiers(including)})`]),
    ...(constraint.nulls_not_distinct === true ? ['NULLS NOT DISTINCT'] : []),
  ]
  const kind = constraint.contype === 'CONSTR_PRIMARY' ? 'PRIMARY KEY' : 'UNIQUE'
  const deferred = [
    ...(constraint.deferrable === true ? [' DEFERRABLE'] : []),
    ...(constraint.initdeferred === true ? [' INITIALLY DEFERRED'] : []),
  ]
  return {
    after: [
      index.join(' '),
      `ALTER TABLE ${table} ADD CONSTRAINT ${name} ${kind} USING INDEX ${name}${deferred.join('')}`,
    ],
  }
}

/** NOT NULL proved first, so that setting it reads no row. */
export function safeNotNull(range: RangeVar, column: string, context: Context): SafeWay {
  if (context.version < 18) return provedNotNull(range, column, context)
  const name = newName(range.relname ?? '', column, 'not_null')
  return notValidThenValidate(range, name, `NOT NULL ${ident(column)}`)
}

/** The same by way of a check, which does no harm where the column is NOT NULL already. */
export function provedNotNull(range: RangeVar, column: string, context: Context): SafeWay {
  const table = tableText(range)
  const name = newName(range.relname ?? '', column, 'not_null')
  const proved = notValidThenValidate(range, name, `CHECK (${ident(column)} IS NOT NULL)`)
  if (context.version < 12) return proved
  return {
    ...proved,
    after: [
      ...(proved.after ?? []),
      `ALTER TABLE ${table} ALTER COLUMN ${ident(column)} SET NOT NULL`,
      `ALTER TABLE ${table} DROP CONSTRAINT ${ident(name)}`,
    ],
  }
}
