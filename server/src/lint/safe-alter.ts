import type { AlterTableCmd, RangeVar } from 'libpg-query'
import { columnDefIn, constraintIn, keyOf, names } from './ast.ts'
import { alterations, type Context, tableText } from './context.ts'
import { safeColumn } from './safe-column.ts'
import {
  constraintBody,
  constraintName,
  constraintOnIndex,
  indexFor,
  notValidThenValidate,
  provedNotNull,
  type SafeWay,
  safeNotNull,
} from './safe-constraint.ts'
import { safeType } from './safe-types.ts'
import type { Statement } from './script.ts'
import { commandSpans, ident, newName, type Span, script, typeSpan } from './text.ts'

const NO_SAFE_WAY = new Set([
  'AT_DropNotNull',
  'AT_SetLogged',
  'AT_SetUnLogged',
  'AT_SetTableSpace',
  'AT_SetAccessMethod',
  'AT_AttachPartition',
])

/** The whole ALTER TABLE written so that it holds up nobody; undefined where there is no one way. */
export function saferAlter(statement: Statement, context: Context): string | undefined {
  const spans = commandSpans(statement)
  const before: string[] = []
  const inline: string[] = []
  const after: string[] = []
  const all = alterations(statement.node, context)
  for (const [i, { command, range, inUse }] of all.entries()) {
    const span = spans[i]
    if (span === undefined || !inUse) return undefined
    const way = safeCommand(statement, span, range, command, context)
    if (way === undefined) return undefined
    before.push(...(way.before ?? []))
    inline.push(...(way.inline ?? []))
    after.push(...(way.after ?? []))
  }
  const table = all[0]?.table ?? ''
  const altering = inline.length === 0 ? [] : [`ALTER TABLE ${table} ${inline.join(', ')}`]
  return script([...before, ...altering, ...after])
}

function safeCommand(
  statement: Statement,
  span: Span,
  range: RangeVar,
  command: AlterTableCmd,
  context: Context,
): SafeWay | undefined {
  const { subtype = 'AT_AddColumn', name = '', def, missing_ok: mayBeThere } = command
  const asWritten = { inline: [statement.source.slice(span.start, span.end)] }
  const column = columnDefIn(def)
  const constraint = constraintIn(def)
  if (subtype === 'AT_AddColumn' && column !== undefined) {
    return safeColumn(statement, range, column, mayBeThere === true, context)
  }
  if (subtype === 'AT_AddConstraint' && constraint !== undefined) {
    if (constraint.contype === 'CONSTR_EXCLUSION') return undefined
    return safeConstraint(statement, span, range, constraint, context) ?? asWritten
  }
  if (subtype === 'AT_SetNotNull') {
    if (!context.world.notNull.has(`${keyOf(range)}.${name}`)) return safeNotNull(range, name, context)
    // Before 12 no proof counts: the check alone is the safe way, and it is there.
    return context.version >= 12 ? asWritten : undefined
  }
  if (subtype === 'AT_AlterColumnType' && column !== undefined) {
    const type = typeSpan(statement, column.typeName, span.end)
    const text = safeType(column.typeName) ?? statement.source.slice(type.start, type.end)
    // Type and expression are told apart by USING alone, which may follow at once.
    return { inline: [`ADD COLUMN ${ident(newName(name, 'new'))} ${text}`] }
  }
  if (subtype === 'AT_DetachPartition' && def !== undefined && 'PartitionCmd' in def) {
    const { name: partition } = def.PartitionCmd
    return {
      after: [`ALTER TABLE ${tableText(range)} DETACH PARTITION ${tableText(partition)} CONCURRENTLY`],
    }
  }
  if (subtype === 'AT_DropColumn') return context.part === 'expand' ? undefined : asWritten
  return NO_SAFE_WAY.has(subtype) ? undefined : asWritten
}

function safeConstraint(
  statement: Statement,
  span: Span,
  range: RangeVar,
  constraint: NonNullable<ReturnType<typeof constraintIn>>,
  context: Context,
): SafeWay | undefined {
  const { contype, skip_validation: later, indexname } = constraint
  const name = constraintName(range, constraint)
  const body = constraintBody(statement, span)
  switch (contype) {
    case 'CONSTR_FOREIGN': {
      const before = indexFor(range, names(constraint.fk_attrs), context)
      if (later === true) return { before, inline: [statement.source.slice(span.start, span.end)] }
      return { before, ...notValidThenValidate(range, name, body) }
    }
    case 'CONSTR_CHECK':
    case 'CONSTR_NOTNULL':
      return later === true ? undefined : notValidThenValidate(range, name, body)
    case 'CONSTR_UNIQUE':
      return indexname === undefined
        ? constraintOnIndex(range, constraint, names(constraint.keys))
        : undefined
    case 'CONSTR_PRIMARY': {
      if (indexname !== undefined) return undefined
      const keys = names(constraint.keys)
      const proofs = keys
        .filter((key) => !context.world.notNull.has(`${keyOf(range)}.${key}`))
        .map((key) => provedNotNull(range, key, context))
      const key = constraintOnIndex(range, constraint, keys)
      return {
        inline: proofs.flatMap((proof) => proof.inline ?? []),
        after: [...proofs.flatMap((proof) => proof.after ?? []), ...(key.after ?? [])],
      }
    }
    default:
      return undefined
  }
}
