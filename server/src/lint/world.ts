import type { ColumnDef, Constraint, Node } from 'libpg-query'
import {
  alteredTable,
  columnDefIn,
  commandsOf,
  constraintIn,
  constraintsOf,
  keyOf,
  keyOfNames,
  names,
  objectNames,
  provesNotNull,
} from './ast.ts'

interface KnownIndex {
  readonly table: string
  readonly columns: readonly string[]
}

/** What the statements so far have made. A table that nobody knows of yet holds up nobody. */
export interface World {
  readonly tables: ReadonlySet<string>
  readonly partitioned: ReadonlySet<string>
  /** `table.column` added to a table that was there before. */
  readonly columns: ReadonlySet<string>
  readonly indexes: ReadonlyMap<string, KnownIndex>
  /** Views, types, functions, sequences, schemas, triggers by name. */
  readonly objects: ReadonlySet<string>
  /** `table.column` that a valid constraint proves to hold no nulls. */
  readonly notNull: ReadonlySet<string>
  /** Functions created STABLE or IMMUTABLE. */
  readonly steadyFunctions: ReadonlySet<string>
  indexed(table: string, columns: readonly string[]): boolean
}

export interface GrowingWorld extends World {
  learn(node: Node): void
}

export function createWorld(): GrowingWorld {
  const tables = new Set<string>()
  const partitioned = new Set<string>()
  const columns = new Set<string>()
  const indexes = new Map<string, KnownIndex>()
  const objects = new Set<string>()
  const notNull = new Set<string>()
  const steadyFunctions = new Set<string>()
  /** Constraints that are not valid yet, by `table.constraint`: columns they will prove. */
  const unproven = new Map<string, readonly string[]>()

  const addIndex = (table: string, of: readonly string[], name?: string): void => {
    indexes.set(name ?? `${table}(${of.join(',')})`, { table, columns: of })
  }

  function addConstraint(table: string, constraint: Constraint, column?: string): void {
    const { contype, conname = '', keys, skip_validation: later } = constraint
    const own = column === undefined ? names(keys) : [column]
    if (contype === 'CONSTR_PRIMARY' || contype === 'CONSTR_UNIQUE') {
      if (own.length > 0) addIndex(table, own)
      if (contype === 'CONSTR_PRIMARY') for (const name of own) notNull.add(`${table}.${name}`)
    }
    const proves = contype === 'CONSTR_NOTNULL' ? own : provesNotNull(constraint.raw_expr)
    if (later === true) unproven.set(`${table}.${conname}`, proves)
    else for (const name of proves) notNull.add(`${table}.${name}`)
  }

  function addColumn(table: string, column: ColumnDef): void {
    for (const constraint of constraintsOf(column)) addConstraint(table, constraint, column.colname ?? '')
  }

  function learnTable(node: Extract<Node, { CreateStmt: unknown }>['CreateStmt']): void {
    const table = keyOf(node.relation)
    tables.add(table)
    if (node.partspec !== undefined) partitioned.add(table)
    for (const element of node.tableElts ?? []) {
      const column = columnDefIn(element)
      const constraint = constraintIn(element)
      if (column !== undefined) addColumn(table, column)
      if (constraint !== undefined) addConstraint(table, constraint)
    }
  }

  function learnAlter(node: Node): void {
    const range = alteredTable(node)
    if (range === undefined) return
    const table = keyOf(range)
    for (const { subtype, name = '', def } of commandsOf(node)) {
      const column = columnDefIn(def)
      const constraint = constraintIn(def)
      if (subtype === 'AT_AddColumn' && column !== undefined) {
        columns.add(`${table}.${column.colname}`)
        addColumn(table, column)
      } else if (subtype === 'AT_AddConstraint' && constraint !== undefined) addConstraint(table, constraint)
      else if (subtype === 'AT_SetNotNull') notNull.add(`${table}.${name}`)
      else if (subtype === 'AT_DropNotNull') notNull.delete(`${table}.${name}`)
      else if (subtype === 'AT_ValidateConstraint') {
        for (const proven of unproven.get(`${table}.${name}`) ?? []) notNull.add(`${table}.${proven}`)
      }
    }
  }

  function learnRename(node: Extract<Node, { RenameStmt: unknown }>['RenameStmt']): void {
    if (node.renameType !== 'OBJECT_TABLE' || !tables.has(keyOf(node.relation))) return
    tables.add(keyOfNames([node.relation?.schemaname ?? 'public', node.newname ?? '']))
  }

  function learnFunction(node: Extract<Node, { CreateFunctionStmt: unknown }>['CreateFunctionStmt']): void {
    const name = names(node.funcname).at(-1) ?? ''
    objects.add(name)
    for (const option of node.options ?? []) {
      if (!('DefElem' in option) || option.DefElem.defname !== 'volatility') continue
      if (names(option.DefElem.arg === undefined ? [] : [option.DefElem.arg])[0] !== 'volatile') {
        steadyFunctions.add(name)
      }
    }
  }

  return {
    tables,
    partitioned,
    columns,
    indexes,
    objects,
    notNull,
    steadyFunctions,
    indexed: (table, wanted) =>
      [...indexes.values()].some(
        (index) =>
          index.table === table &&
          [...index.columns.slice(0, wanted.length)].sort().join() === [...wanted].sort().join(),
      ),
    learn(node) {
      if ('CreateStmt' in node) learnTable(node.CreateStmt)
      else if ('AlterTableStmt' in node) learnAlter(node)
      else if ('RenameStmt' in node) learnRename(node.RenameStmt)
      else if ('CreateFunctionStmt' in node) learnFunction(node.CreateFunctionStmt)
      else if ('IndexStmt' in node) {
        const { relation, idxname, indexParams = [], whereClause } = node.IndexStmt
        // A partial index serves those rows alone.
        const of = indexParams.map((param) => ('IndexElem' in param ? (param.IndexElem.name ?? '()') : '()'))
        addIndex(keyOf(relation), whereClause === undefined ? of : [], idxname)
      } else if ('CreateTableAsStmt' in node) tables.add(keyOf(node.CreateTableAsStmt.into?.rel))
      else if ('SelectStmt' in node && node.SelectStmt.intoClause !== undefined) {
        tables.add(keyOf(node.SelectStmt.intoClause.rel))
      } else for (const made of objectsMadeBy(node)) objects.add(made)
    },
  }
}

function objectsMadeBy(node: Node): readonly string[] {
  if ('ViewStmt' in node) return [keyOf(node.ViewStmt.view)]
  if ('CreateEnumStmt' in node) return [keyOfNames(names(node.CreateEnumStmt.typeName))]
  if ('CompositeTypeStmt' in node) return [keyOf(node.CompositeTypeStmt.typevar)]
  if ('CreateDomainStmt' in node) return [keyOfNames(names(node.CreateDomainStmt.domainname))]
  if ('CreateSeqStmt' in node) return [keyOf(node.CreateSeqStmt.sequence)]
  if ('CreateSchemaStmt' in node) return [node.CreateSchemaStmt.schemaname ?? '']
  if ('CreateTrigStmt' in node) return [node.CreateTrigStmt.trigname ?? '']
  if ('DefineStmt' in node) return [keyOfNames(names(node.DefineStmt.defnames))]
  return []
}

/** Relations that a DROP names, as sets know them. */
export const droppedKeys = (node: Node): readonly string[] =>
  'DropStmt' in node ? (node.DropStmt.objects ?? []).map((object) => keyOfNames(objectNames(object))) : []
