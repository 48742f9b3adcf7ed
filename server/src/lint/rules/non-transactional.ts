import type { Node } from 'libpg-query'
import { commandsOf, keyOf } from '../ast.ts'
import { droppedKeys, type World } from '../world.ts'

const hasOption = (params: readonly Node[] | undefined, name: string): boolean =>
  (params ?? []).some((param) => 'DefElem' in param && param.DefElem.defname === name)

/** Written with CONCURRENTLY. */
export function isConcurrent(node: Node): boolean {
  if ('IndexStmt' in node) return node.IndexStmt.concurrent === true
  if ('DropStmt' in node) return node.DropStmt.concurrent === true
  if ('ReindexStmt' in node) return hasOption(node.ReindexStmt.params, 'concurrently')
  return commandsOf(node).some(
    ({ def }) => def !== undefined && 'PartitionCmd' in def && def.PartitionCmd.concurrent === true,
  )
}

const ALONE = ['AlterSystemStmt', 'CreatedbStmt', 'DropdbStmt', 'CreateTableSpaceStmt', 'DropTableSpaceStmt']

/** PostgreSQL refuses it between BEGIN and COMMIT. */
export const isNonTransactional = (node: Node): boolean =>
  isConcurrent(node) ||
  ('VacuumStmt' in node && node.VacuumStmt.is_vacuumcmd === true) ||
  ALONE.some((kind) => kind in node)

/** Tables that a statement works on, as far as it names them. */
export function tablesOf(node: Node, world: World): readonly string[] {
  if ('AlterTableStmt' in node) return [keyOf(node.AlterTableStmt.relation)]
  if ('CreateStmt' in node) return [keyOf(node.CreateStmt.relation)]
  if ('IndexStmt' in node) return [keyOf(node.IndexStmt.relation)]
  if ('RenameStmt' in node && node.RenameStmt.relation !== undefined) return [keyOf(node.RenameStmt.relation)]
  if ('UpdateStmt' in node) return [keyOf(node.UpdateStmt.relation)]
  if ('DeleteStmt' in node) return [keyOf(node.DeleteStmt.relation)]
  if ('InsertStmt' in node) return [keyOf(node.InsertStmt.relation)]
  if ('CreateTrigStmt' in node) return [keyOf(node.CreateTrigStmt.relation)]
  if ('AlterObjectSchemaStmt' in node && node.AlterObjectSchemaStmt.relation !== undefined) {
    return [keyOf(node.AlterObjectSchemaStmt.relation)]
  }
  if ('TruncateStmt' in node) {
    return (node.TruncateStmt.relations ?? []).map((rel) =>
      keyOf('RangeVar' in rel ? rel.RangeVar : undefined),
    )
  }
  if ('ReindexStmt' in node && node.ReindexStmt.kind === 'REINDEX_OBJECT_TABLE') {
    return [keyOf(node.ReindexStmt.relation)]
  }
  if (!('DropStmt' in node)) return []
  if (node.DropStmt.removeType === 'OBJECT_TABLE') return droppedKeys(node)
  if (node.DropStmt.removeType !== 'OBJECT_INDEX') return []
  return droppedKeys(node).flatMap((key) => world.indexes.get(key)?.table ?? [])
}
