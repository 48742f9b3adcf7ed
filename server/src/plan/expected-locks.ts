import type { AlterTableCmd, Constraint, Node, RangeVar } from 'libpg-query'
import {
  alteredTable,
  columnDefIn,
  commandsOf,
  constraintIn,
  constraintsOf,
  keyOf,
  keyOfNames,
  objectNames,
} from '../lint/ast.ts'
import { LOCK_MODES, type LockMode, strongest, type TableLock } from '../lint/locks.ts'

// Subcommands of ALTER TABLE that need less than ACCESS EXCLUSIVE.
const ALTER_MODES: Readonly<Record<string, LockMode>> = {
  AT_ValidateConstraint: 'SHARE UPDATE EXCLUSIVE',
  AT_SetStatistics: 'SHARE UPDATE EXCLUSIVE',
  AT_SetOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_ResetOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_SetRelOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_ResetRelOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_ClusterOn: 'SHARE UPDATE EXCLUSIVE',
  AT_DropCluster: 'SHARE UPDATE EXCLUSIVE',
  AT_AttachPartition: 'SHARE UPDATE EXCLUSIVE',
  AT_DetachPartitionFinalize: 'SHARE UPDATE EXCLUSIVE',
  AT_EnableTrig: 'SHARE ROW EXCLUSIVE',
  AT_EnableAlwaysTrig: 'SHARE ROW EXCLUSIVE',
  AT_EnableReplicaTrig: 'SHARE ROW EXCLUSIVE',
  AT_EnableTrigAll: 'SHARE ROW EXCLUSIVE',
  AT_EnableTrigUser: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrig: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrigAll: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrigUser: 'SHARE ROW EXCLUSIVE',
}

/** Tables of indexes that statements name by the index alone; undefined where that is not known from the text. */
export type TableOfIndex = (index: string) => string | undefined

/**
 * The locks that a statement takes on tables, by PostgreSQL's rules and from its text alone. What only the
 * catalog knows (the table of an index, partitions, who refers to a table) may be missing; the dry run sees it.
 */
export function expectedLocks(node: Node, tableOf: TableOfIndex = () => undefined): readonly TableLock[] {
  return strongest([...locksOf(node, tableOf)].filter(({ on }) => on !== ''))
}

const on = (mode: LockMode, ...tables: readonly (RangeVar | undefined)[]): readonly TableLock[] =>
  tables.flatMap((table) => (table === undefined ? [] : [{ mode, on: keyOf(table) }]))

const named = (mode: LockMode, objects: readonly Node[] | undefined): readonly TableLock[] =>
  (objects ?? []).map((object) => ({ mode, on: keyOfNames(objectNames(object)) }))

function locksOf(node: Node, tableOf: TableOfIndex): readonly TableLock[] {
  const indexTable = (mode: LockMode, index: string): readonly TableLock[] => {
    const table = tableOf(index)
    return [{ mode, on: table ?? `the table of ${index}` }]
  }
  if ('AlterTableStmt' in node) return alterLocks(node)
  if ('CreateStmt' in node) {
    const { relation, tableElts = [], inhRelations = [], partbound } = node.CreateStmt
    const parents = inhRelations.flatMap((parent) => ('RangeVar' in parent ? [parent.RangeVar] : []))
    const parentMode: LockMode = partbound === undefined ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE'
    return [
      ...on('ACCESS EXCLUSIVE', relation),
      ...on(parentMode, ...parents),
      ...tableElts.flatMap((element) => referenced(element)),
    ]
  }
  if ('IndexStmt' in node) {
    const { concurrent, relation } = node.IndexStmt
    return on(concurrent === true ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE', relation)
  }
  if ('DropStmt' in node) {
    const { removeType, objects, concurrent } = node.DropStmt
    if (removeType === 'OBJECT_INDEX') {
      const mode: LockMode = concurrent === true ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE'
      return (objects ?? []).flatMap((object) => indexTable(mode, keyOfNames(objectNames(object))))
    }
    if (['OBJECT_TRIGGER', 'OBJECT_POLICY', 'OBJECT_RULE'].includes(removeType ?? '')) {
      return (objects ?? []).map((object) => ({
        mode: 'ACCESS EXCLUSIVE',
        on: keyOfNames(objectNames(object).slice(0, -1)),
      }))
    }
    const relations = ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_FOREIGN_TABLE']
    return relations.includes(removeType ?? '') ? named('ACCESS EXCLUSIVE', objects) : []
  }
  if ('RenameStmt' in node) {
    const { renameType, relation } = node.RenameStmt
    if (renameType === 'OBJECT_INDEX') return on('SHARE UPDATE EXCLUSIVE', relation)
    return on('ACCESS EXCLUSIVE', relation)
  }
  if ('AlterObjectSchemaStmt' in node) return on('ACCESS EXCLUSIVE', node.AlterObjectSchemaStmt.relation)
  if ('CreateTrigStmt' in node) return on('SHARE ROW EXCLUSIVE', node.CreateTrigStmt.relation)
  if ('CreatePolicyStmt' in node) return on('ACCESS EXCLUSIVE', node.CreatePolicyStmt.table)
  if ('AlterPolicyStmt' in node) return on('ACCESS EXCLUSIVE', node.AlterPolicyStmt.table)
  if ('RuleStmt' in node) return on('ACCESS EXCLUSIVE', node.RuleStmt.relation)
  if ('CreateStatsStmt' in node) return ranges('SHARE UPDATE EXCLUSIVE', node.CreateStatsStmt.relations)
  if ('TruncateStmt' in node) return ranges('ACCESS EXCLUSIVE', node.TruncateStmt.relations)
  if ('LockStmt' in node) {
    return ranges(LOCK_MODES[(node.LockStmt.mode ?? 8) - 1] ?? 'ACCESS EXCLUSIVE', node.LockStmt.relations)
  }
  if ('RefreshMatViewStmt' in node) {
    const { concurrent, relation } = node.RefreshMatViewStmt
    return on(concurrent === true ? 'EXCLUSIVE' : 'ACCESS EXCLUSIVE', relation)
  }
  if ('ReindexStmt' in node) {
    const { kind, relation, params = [] } = node.ReindexStmt
    const concurrent = params.some((param) => 'DefElem' in param && param.DefElem.defname === 'concurrently')
    const mode: LockMode = concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE'
    return kind === 'REINDEX_OBJECT_INDEX' ? indexTable(mode, keyOf(relation)) : on(mode, relation)
  }
  if ('ClusterStmt' in node) return on('ACCESS EXCLUSIVE', node.ClusterStmt.relation)
  if ('VacuumStmt' in node) {
    const full = (node.VacuumStmt.options ?? []).some(
      (option) => 'DefElem' in option && option.DefElem.defname === 'full',
    )
    const tables = (node.VacuumStmt.rels ?? []).map((rel) =>
      'VacuumRelation' in rel ? rel.VacuumRelation.relation : undefined,
    )
    return on(full ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE', ...tables)
  }
  if ('CommentStmt' in node && node.CommentStmt.objtype === 'OBJECT_TABLE') {
    return named(
      'SHARE UPDATE EXCLUSIVE',
      node.CommentStmt.object === undefined ? [] : [node.CommentStmt.object],
    )
  }
  if ('InsertStmt' in node) return on('ROW EXCLUSIVE', node.InsertStmt.relation)
  if ('UpdateStmt' in node) return on('ROW EXCLUSIVE', node.UpdateStmt.relation)
  if ('DeleteStmt' in node) return on('ROW EXCLUSIVE', node.DeleteStmt.relation)
  return []
}

const ranges = (mode: LockMode, nodes: readonly Node[] | undefined): readonly TableLock[] =>
  on(mode, ...(nodes ?? []).map((node) => ('RangeVar' in node ? node.RangeVar : undefined)))

/** Tables that constraints of a column or table refer to. */
function referenced(element: Node | undefined): readonly TableLock[] {
  const column = columnDefIn(element)
  const constraint = constraintIn(element)
  const all: readonly Constraint[] = [
    ...(column === undefined ? [] : constraintsOf(column)),
    ...(constraint === undefined ? [] : [constraint]),
  ]
  return all.flatMap(({ contype, pktable }) =>
    contype === 'CONSTR_FOREIGN' ? on('SHARE ROW EXCLUSIVE', pktable) : [],
  )
}

function alterLocks(node: Extract<Node, { AlterTableStmt: unknown }>): readonly TableLock[] {
  const table = alteredTable(node)
  if (table === undefined) {
    const { objtype, relation } = node.AlterTableStmt
    // ALTER INDEX and ALTER SEQUENCE lock what they name; nobody's reads and writes take those locks.
    return objtype === 'OBJECT_VIEW' || objtype === 'OBJECT_MATVIEW' ? on('ACCESS EXCLUSIVE', relation) : []
  }
  return commandsOf(node).flatMap((command) => [
    ...on(modeOfCommand(command), table),
    ...referenced(command.def),
    ...partitionLock(command),
  ])
}

function modeOfCommand({ subtype, def }: AlterTableCmd): LockMode {
  if (subtype === 'AT_AddConstraint' && constraintIn(def)?.contype === 'CONSTR_FOREIGN') {
    return 'SHARE ROW EXCLUSIVE'
  }
  if (subtype === 'AT_DetachPartition' && isConcurrent(def)) return 'SHARE UPDATE EXCLUSIVE'
  return ALTER_MODES[subtype ?? ''] ?? 'ACCESS EXCLUSIVE'
}

const isConcurrent = (def: Node | undefined): boolean =>
  def !== undefined && 'PartitionCmd' in def && def.PartitionCmd.concurrent === true

function partitionLock({ subtype, def }: AlterTableCmd): readonly TableLock[] {
  if (def === undefined || !('PartitionCmd' in def)) return []
  const weak = subtype === 'AT_DetachPartition' && isConcurrent(def)
  return on(weak ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE', def.PartitionCmd.name)
}
