import type { Node } from 'libpg-query'
import { quoted } from '../ddl/concurrent-ddl.ts'
import {
  qualified,
  type SqlStatement,
  stringsIn,
  type TableName,
  tableNameOf,
} from '../sql-text/sql-statements.ts'
import { ExecutionError } from '../target/execution-error.ts'

/** A table of which something goes: the whole of it, or columns. */
export interface Going {
  readonly table: TableName
  readonly whole: boolean
  readonly columns: readonly string[]
}

/** An object that a statement drops besides. `on` is its table, for what belongs to one. */
export interface DroppedObject {
  readonly kind: 'relation' | 'function' | 'type' | 'constraint' | 'part'
  readonly name: TableName
  readonly on?: TableName
}

export interface WhatGoes {
  readonly data: readonly Going[]
  readonly objects: readonly DroppedObject[]
}

/** Reads from the statements of contract.sql what data is lost, and what else they drop by name. */
export function whatGoes(statements: readonly SqlStatement[]): WhatGoes {
  const whole = new Map<string, TableName>()
  const columns = new Map<string, { table: TableName; columns: string[] }>()
  const objects: DroppedObject[] = []
  for (const { node, text } of statements) {
    if ('AlterTableStmt' in node) {
      const table = tableNameOf(node.AlterTableStmt.relation ?? {})
      for (const command of node.AlterTableStmt.cmds ?? []) {
        if (!('AlterTableCmd' in command)) continue
        const { subtype, name = '' } = command.AlterTableCmd
        if (subtype === 'AT_DropConstraint') objects.push({ kind: 'constraint', name: { name }, on: table })
        if (subtype !== 'AT_DropColumn') continue
        const entry = columns.get(quoted(table)) ?? { table, columns: [] }
        entry.columns.push(name)
        columns.set(quoted(table), entry)
      }
    } else if ('DropStmt' in node) {
      const { removeType, objects: dropped = [] } = node.DropStmt
      if (removeType === 'OBJECT_SCHEMA') {
        throw new ExecutionError(
          'work-impossible',
          `"${text}": drop the tables of the schema one by one first, so that they can be archived.`,
        )
      }
      for (const object of dropped) {
        const names = stringsIn(object)
        if (removeType === 'OBJECT_TABLE') {
          const table = qualified(names)
          whole.set(quoted(table), table)
          objects.push({ kind: 'relation', name: table })
        } else objects.push(...droppedObject(removeType, names))
      }
    } else if ('AlterPublicationStmt' in node) {
      objects.push(...unpublished(node.AlterPublicationStmt))
    } else if ('CreateFunctionStmt' in node && node.CreateFunctionStmt.replace === true) {
      // What it says from now on is looked at by whoever wrote it.
      objects.push({
        kind: 'function',
        name: qualified((node.CreateFunctionStmt.funcname ?? []).flatMap(stringsIn)),
      })
    } else {
      for (const table of emptied(node)) whole.set(quoted(table), table)
    }
  }
  return {
    objects,
    data: [
      ...[...whole.values()].map((table) => ({ table, whole: true, columns: [] })),
      ...[...columns.entries()]
        .filter(([name]) => !whole.has(name))
        .map(([, entry]) => ({ ...entry, whole: false })),
    ],
  }
}

/** Tables that a statement takes out of a publication. */
const unpublished = ({
  pubname = '',
  action,
  pubobjects = [],
}: Extract<Node, { AlterPublicationStmt: unknown }>['AlterPublicationStmt']): readonly DroppedObject[] =>
  action !== 'AP_DropObjects'
    ? []
    : pubobjects.flatMap((object) => {
        const table =
          'PublicationObjSpec' in object ? object.PublicationObjSpec.pubtable?.relation : undefined
        return table === undefined
          ? []
          : [{ kind: 'part' as const, name: { name: pubname }, on: tableNameOf(table) }]
      })

function droppedObject(type: string | undefined, names: readonly string[]): readonly DroppedObject[] {
  switch (type) {
    case 'OBJECT_INDEX':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_FOREIGN_TABLE':
      return [{ kind: 'relation', name: qualified(names) }]
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
    case 'OBJECT_AGGREGATE':
      return [{ kind: 'function', name: qualified(names) }]
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      return [{ kind: 'type', name: qualified(names) }]
    case 'OBJECT_POLICY':
    case 'OBJECT_TRIGGER':
    case 'OBJECT_RULE':
      return [{ kind: 'part', name: { name: names.at(-1) ?? '' }, on: qualified(names.slice(0, -1)) }]
    default:
      return []
  }
}

/** Tables whose rows a statement removes. */
function emptied(node: Node): readonly TableName[] {
  if ('TruncateStmt' in node) {
    return (node.TruncateStmt.relations ?? []).flatMap((relation) =>
      'RangeVar' in relation ? [tableNameOf(relation.RangeVar)] : [],
    )
  }
  return 'DeleteStmt' in node ? [tableNameOf(node.DeleteStmt.relation ?? {})] : []
}
