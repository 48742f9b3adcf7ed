import type { ColumnDef, TypeName } from 'libpg-query'
import { find, isArray, isSerial, typeOf } from './ast.ts'
import { ident } from './text.ts'

const SMALL = new Set(['int2', 'int4', 'serial', 'serial4', 'serial2', 'smallserial'])

/** A number of at most 31 bits. */
export const isSmallInteger = (type: TypeName | undefined): boolean => SMALL.has(typeOf(type))

const modifiers = (type: TypeName | undefined): string => {
  const numbers = (type?.typmods ?? []).flatMap((node) =>
    'A_Const' in node ? [node.A_Const.ival?.ival ?? 0] : [],
  )
  return numbers.length === 0 ? '' : `(${numbers.join(', ')})`
}

export const isLimitedVarchar = (type: TypeName | undefined): boolean =>
  typeOf(type) === 'varchar' && modifiers(type) !== ''

/** What to write instead of a type, or undefined where it is fine as it is. */
export function safeType(type: TypeName | undefined): string | undefined {
  const array = isArray(type) ? '[]' : ''
  const name = typeOf(type)
  if (name === 'bpchar' || isLimitedVarchar(type)) return `text${array}`
  if (name === 'timestamp') return `timestamptz${modifiers(type)}${array}`
  if (name === 'json') return `jsonb${array}`
  return undefined
}

/** The limit of a character type as a check, which can be changed without a rewrite. */
export function lengthCheck(column: ColumnDef): string | undefined {
  const { typeName } = column
  if (isArray(typeName) || (typeOf(typeName) !== 'bpchar' && !isLimitedVarchar(typeName))) return undefined
  const limit = modifiers(typeName)
  return limit === '' ? undefined : `char_length(${ident(column.colname ?? '')}) <= ${limit.slice(1, -1)}`
}

export const isIdentity = (column: ColumnDef): boolean => find(column, 'CONSTR_IDENTITY') !== undefined

/** Its values come from a sequence. */
export const isNumbered = (column: ColumnDef): boolean => isSerial(column.typeName) || isIdentity(column)
