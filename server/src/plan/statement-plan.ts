import type { Node } from 'libpg-query'
import { alteredTable, commandsOf, constraintIn, keyOf } from '../lint/ast.ts'
import { blocks, holdsUpTraffic, type LockMode } from '../lint/locks.ts'
import { createWorld } from '../lint/world.ts'
import { modeOf, parseSql, type SqlStatement } from '../sql-text/sql-statements.ts'
import { expectedLocks, type TableOfIndex } from './expected-locks.ts'

export type PlannedFile = 'expand' | 'rollback' | 'contract'

export interface PlannedLock {
  readonly mode: LockMode
  readonly on: string
  /** What waits while it is held; nobody uses a table that the migration itself has just made. */
  readonly blocks: string
  readonly new: boolean
}

/** One statement of a SQL file, as the executor would run it. */
export interface StatementPlan {
  readonly file: PlannedFile
  /** From 1. */
  readonly position: number
  readonly text: string
  readonly runs: 'in a transaction' | 'without a transaction'
  readonly locks: readonly PlannedLock[]
  /** It holds up reads or writes of a table in use, for as long as it takes. */
  readonly blocking: boolean
  /** It takes time in proportion to the table. */
  readonly work: 'catalog' | 'scan' | 'index build' | 'rewrite' | 'rows'
}

const REWRITES = new Set(['AT_AlterColumnType', 'AT_SetLogged', 'AT_SetUnLogged', 'AT_SetTableSpace'])

/** Statements of a file with the locks they are expected to take. @throws ExecutionError for unreadable SQL */
export async function planFile(
  file: PlannedFile,
  sql: string,
  before: readonly SqlStatement[] = [],
  tableOf?: TableOfIndex,
): Promise<readonly StatementPlan[]> {
  const statements = await parseSql(sql, `${file}.sql`)
  const world = createWorld()
  for (const { node } of before) world.learn(node)
  return statements.map((statement, index) => {
    const { node, text } = statement
    const fresh = new Set(world.tables)
    const made = 'CreateStmt' in node ? [keyOf(node.CreateStmt.relation)] : []
    const inWorld: TableOfIndex = (name) => world.indexes.get(name)?.table ?? tableOf?.(name)
    const locks = expectedLocks(node, inWorld).map(({ mode, on }) => ({
      mode,
      on,
      blocks: blocks(mode),
      new: fresh.has(on) || made.includes(on),
    }))
    world.learn(node)
    return {
      file,
      position: index + 1,
      text,
      runs: modeOf(statement).kind === 'transaction' ? 'in a transaction' : 'without a transaction',
      locks,
      blocking: locks.some((lock) => !lock.new && holdsUpTraffic(lock.mode)),
      work: workOf(node),
    }
  })
}

function workOf(node: Node): StatementPlan['work'] {
  if ('IndexStmt' in node || 'ReindexStmt' in node) return 'index build'
  if ('ClusterStmt' in node) return 'rewrite'
  if ('VacuumStmt' in node) return 'scan'
  if ('InsertStmt' in node || 'UpdateStmt' in node || 'DeleteStmt' in node) return 'rows'
  if (alteredTable(node) === undefined) return 'catalog'
  const kinds = commandsOf(node).map(({ subtype = '', def }): StatementPlan['work'] => {
    if (REWRITES.has(subtype)) return 'rewrite'
    if (subtype === 'AT_ValidateConstraint' || subtype === 'AT_SetNotNull') return 'scan'
    const constraint = subtype === 'AT_AddConstraint' ? constraintIn(def) : undefined
    if (constraint === undefined || constraint.skip_validation === true) return 'catalog'
    if (constraint.indexname !== undefined && constraint.indexname !== '') return 'catalog'
    return constraint.contype === 'CONSTR_CHECK' || constraint.contype === 'CONSTR_FOREIGN'
      ? 'scan'
      : 'index build'
  })
  const order: readonly StatementPlan['work'][] = ['rewrite', 'index build', 'scan']
  return order.find((kind) => kinds.includes(kind)) ?? 'catalog'
}
