import type { Node } from 'libpg-query'
import { alteredTable, commandsOf, keyOf } from '../ast.ts'
import type { Context } from '../context.ts'
import type { Draft } from '../finding.ts'
import { reverseOf } from '../reverse-script.ts'
import type { Rule } from '../rule.ts'
import { droppedKeys } from '../world.ts'
import { tablesOf } from './non-transactional.ts'
import { droppedKind } from './removals.ts'

interface Removal {
  readonly table: string
  /** Absent where the whole table goes. */
  readonly column?: string
}

/** What instances cannot find any more under its name afterwards. */
function removals(node: Node): readonly Removal[] {
  if ('DropStmt' in node && node.DropStmt.removeType === 'OBJECT_TABLE') {
    return droppedKeys(node).map((table) => ({ table }))
  }
  if ('RenameStmt' in node) {
    const { renameType, relation, subname } = node.RenameStmt
    if (renameType === 'OBJECT_TABLE') return [{ table: keyOf(relation) }]
    return renameType === 'OBJECT_COLUMN' ? [{ table: keyOf(relation), column: subname ?? '' }] : []
  }
  if ('AlterObjectSchemaStmt' in node && node.AlterObjectSchemaStmt.objectType === 'OBJECT_TABLE') {
    return [{ table: keyOf(node.AlterObjectSchemaStmt.relation) }]
  }
  if ('TruncateStmt' in node) {
    return (node.TruncateStmt.relations ?? []).map((rel) => ({
      table: keyOf('RangeVar' in rel ? rel.RangeVar : undefined),
    }))
  }
  const table = keyOf(alteredTable(node))
  return commandsOf(node).flatMap(({ subtype, name = '' }) =>
    subtype === 'AT_DropColumn' ? [{ table, column: name }] : [],
  )
}

const nameOf = ({ table, column }: Removal): string => (column === undefined ? table : `${table}.${column}`)

/** Which path still uses what is removed, if any does. */
function userOf({ table, column }: Removal, context: Context): 'old' | 'new' | undefined {
  const paths = context.use?.paths
  if (paths === undefined) return undefined
  const { part, made } = context
  const old = table === paths.from && (column === undefined || paths.oldColumns.has(column))
  const next = table === paths.to && (column === undefined || paths.newColumns.has(column))
  switch (part) {
    case 'expand':
      return old ? 'old' : next ? 'new' : undefined
    case 'rollback':
      return old &&
        !made.tables.has(table) &&
        !made.columns.has(nameOf({ table, ...(column === undefined ? {} : { column }) }))
        ? 'old'
        : undefined
    case 'contract':
      return next ? 'new' : undefined
  }
}

const stillInUse: Rule = {
  id: 'still-in-use',
  severity: 'error',
  title: 'What old or new of the definition still uses is dropped, renamed or emptied.',
  why: 'Until the contract the old path is served or kept as the way back; after it the new one is all there is. A handler whose table or column has gone fails at once, for every instance.',
  instead: 'In the expand only add. In the contract drop what the mapping moved away from.',
  peers: [
    'squawk: ban-drop-column',
    'squawk: ban-drop-table',
    'squawk: renaming-column',
    'squawk: renaming-table',
  ],
  check: ({ node }, context) =>
    removals(node).flatMap((removal): readonly Draft[] => {
      const user = userOf(removal, context)
      if (user === undefined) return []
      return [
        {
          message: `The ${user} path of ${context.use?.id} still uses ${nameOf(removal)} when ${context.part}.sql runs.`,
        },
      ]
    }),
}

const contractOutOfScope: Rule = {
  id: 'contract-out-of-scope',
  severity: 'error',
  title: 'The contract touches more than the migration declares.',
  why: 'The archive, the approval and the checks before a contract are about what the definition moves. Whatever else it touches has been looked at by nobody, and no way leads back.',
  instead: 'Drop in the contract what `copy` moved; give anything else a migration of its own.',
  peers: [],
  check: (statement, context) => {
    const { node } = statement
    if (context.part !== 'contract' || context.use === undefined) return []
    const { paths, id } = context.use
    if (paths === undefined) {
      return statement.index === 0
        ? [{ message: `${id} has no copy, hence no old path to remove: its contract never runs.` }]
        : []
    }
    const known = (table: string): boolean =>
      table === paths.from ||
      table === paths.to ||
      context.made.tables.has(table) ||
      context.world.tables.has(table)
    const strangers = tablesOf(node, context.made).filter((table) => !known(table))
    const columns = removals(node).filter(
      ({ table, column }) =>
        table === paths.from &&
        (column === undefined ? 'RenameStmt' in node || paths.from === paths.to : !paths.moved.has(column)) &&
        userOf({ table, ...(column === undefined ? {} : { column }) }, context) === undefined,
    )
    const objects =
      droppedKind(node) === undefined
        ? []
        : droppedKeys(node).filter((key) => !context.made.objects.has(key) && !context.made.tables.has(key))
    const names = [...strangers, ...columns.map(nameOf), ...objects]
    return names.length === 0
      ? []
      : [
          {
            message: `${[...new Set(names)].join(', ')}: not what ${id} moves from ${paths.from} to ${paths.to}.`,
          },
        ]
  },
}

const rollbackOutOfScope: Rule = {
  id: 'rollback-out-of-scope',
  severity: 'error',
  title: 'The rollback removes what the expand did not make.',
  why: 'A rollback leads back to the schema as it was before the expand. What was there then is in use.',
  instead: 'Drop what expand.sql created, and nothing else.',
  peers: [],
  check: ({ node }, context) => {
    if (context.part !== 'rollback') return []
    const { made } = context
    const removed = removals(node)
      .filter((removal) => userOf(removal, context) === undefined)
      .filter((removal) => !made.tables.has(removal.table) && !made.columns.has(nameOf(removal)))
      .map(nameOf)
    const index = 'DropStmt' in node && node.DropStmt.removeType === 'OBJECT_INDEX'
    const others = index
      ? droppedKeys(node).filter((key) => !made.indexes.has(key))
      : droppedKind(node) === undefined
        ? []
        : droppedKeys(node).filter((key) => !made.objects.has(key) && !made.tables.has(key))
    const names = [...removed, ...others]
    return names.length === 0 ? [] : [{ message: `expand.sql did not make ${names.join(', ')}.` }]
  },
}

const missingRollback: Rule = {
  id: 'missing-rollback',
  severity: 'error',
  title: 'The migration has no rollback.sql.',
  why: 'From `expanded` there is then no way back to `planned`: what the expand made stays, and the next try finds it there.',
  instead: 'Write rollback.sql; where nothing is to be undone, let it say so in a comment.',
  peers: [],
  check: ({ index }, context) => {
    if (context.part !== 'expand' || context.hasRollback !== false || index !== 0) return []
    return [
      {
        message: 'There is no rollback.sql beside it: no way leads back from `expanded`.',
        fix: reverseOf(context.statements, context.made),
      },
    ]
  },
}

export const definitionRules: readonly Rule[] = [
  stillInUse,
  contractOutOfScope,
  rollbackOutOfScope,
  missingRollback,
]
