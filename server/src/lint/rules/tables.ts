import type { Node, RangeVar } from 'libpg-query'
import { commandsOf, keyOf } from '../ast.ts'
import { alterationsInUse, type Context, isNew, tableText } from '../context.ts'
import { type Draft, lock } from '../finding.ts'
import type { Rule } from '../rule.ts'
import type { Statement } from '../script.ts'
import { edited, script } from '../text.ts'

export const rangesIn = (nodes: readonly Node[] | undefined): readonly RangeVar[] =>
  (nodes ?? []).flatMap((node) => ('RangeVar' in node ? [node.RangeVar] : []))

const truncate: Rule = {
  id: 'truncate',
  severity: 'error',
  title: 'A table in use is emptied.',
  why: 'All rows go at once, under ACCESS EXCLUSIVE; with CASCADE also those of every table that refers to it.',
  instead: 'Leave it to the contract, after the archive.',
  bad: 'truncate users cascade;',
  peers: ['squawk: ban-truncate-cascade'],
  check: ({ node }, context) => {
    if (!('TruncateStmt' in node)) return []
    const inUse = rangesIn(node.TruncateStmt.relations).filter((range) => !isNew(context, range))
    if (inUse.length === 0) return []
    const tables = inUse.map(tableText).join(', ')
    const others =
      node.TruncateStmt.behavior === 'DROP_CASCADE' ? ', and of every table that refers to it' : ''
    return [
      { message: `All rows of ${tables}${others} would be gone.`, lock: lock('ACCESS EXCLUSIVE', tables) },
    ]
  },
}

const REWRITES: Readonly<Record<string, string>> = {
  AT_SetLogged: 'SET LOGGED',
  AT_SetUnLogged: 'SET UNLOGGED',
  AT_SetTableSpace: 'SET TABLESPACE',
  AT_SetAccessMethod: 'SET ACCESS METHOD',
}

const rewriteTable: Rule = {
  id: 'rewrite-table',
  severity: 'error',
  title: 'A table in use is written anew.',
  why: 'VACUUM FULL, CLUSTER, SET LOGGED and the like copy the whole table under ACCESS EXCLUSIVE.',
  instead: 'Create a new table as it should be and move to it, or use pg_repack.',
  bad: 'vacuum full orders;',
  peers: ['squawk: prefer-repack'],
  check: (statement, context) => {
    const { node } = statement
    const found = (range: RangeVar | undefined, what: string): readonly Draft[] =>
      isNew(context, range)
        ? []
        : [
            {
              message: `${what} copies all of ${range === undefined ? 'every table' : tableText(range)} while it is locked.`,
              lock: lock(
                'ACCESS EXCLUSIVE',
                range === undefined ? 'one table after the other' : tableText(range),
              ),
            },
          ]
    if ('ClusterStmt' in node) return found(node.ClusterStmt.relation, 'CLUSTER')
    if ('VacuumStmt' in node) {
      const full = (node.VacuumStmt.options ?? []).some(
        (option) => 'DefElem' in option && option.DefElem.defname === 'full',
      )
      const rels = (node.VacuumStmt.rels ?? []).map((rel) =>
        'VacuumRelation' in rel ? rel.VacuumRelation.relation : undefined,
      )
      return full
        ? (rels.length === 0 ? [undefined] : rels).flatMap((range) => found(range, 'VACUUM FULL'))
        : []
    }
    if ('AlterTableMoveAllStmt' in node) return found(undefined, 'SET TABLESPACE')
    if ('AlterTableStmt' in node && node.AlterTableStmt.objtype !== 'OBJECT_TABLE') {
      // An index or a materialized view, which others read as well.
      const moves = commandsOf(node).some(({ subtype }) => subtype === 'AT_SetTableSpace')
      return moves ? found(node.AlterTableStmt.relation, 'SET TABLESPACE') : []
    }
    return alterationsInUse(statement, context).flatMap(({ command, range, span }) => {
      const what = REWRITES[command.subtype ?? '']
      return what === undefined
        ? []
        : found(range, what).map((draft) => ({ ...draft, at: span.start, to: span.end }))
    })
  },
}

const lockTable: Rule = {
  id: 'lock-table',
  severity: 'error',
  title: 'A table in use is locked by hand.',
  why: 'The lock is held until the end of the transaction, and everybody waits behind it.',
  instead: 'Leave locks to the statements that need them.',
  bad: 'lock table users in access exclusive mode;',
  peers: [],
  check: ({ node }, context) => {
    // Up to ROW EXCLUSIVE the locks are those of ordinary reads and writes.
    if (!('LockStmt' in node) || (node.LockStmt.mode ?? 0) <= 3) return []
    const inUse = rangesIn(node.LockStmt.relations).filter((range) => !isNew(context, range))
    return inUse.length === 0
      ? []
      : [
          {
            message: `Everybody who uses ${inUse.map(tableText).join(', ')} may have to wait for this transaction.`,
          },
        ]
  },
}

const readsOthers = (from: readonly Node[] | undefined, context: Context): RangeVar | undefined =>
  (from ?? [])
    .flatMap((node): readonly RangeVar[] => {
      if ('RangeVar' in node) return [node.RangeVar]
      if (!('JoinExpr' in node)) return []
      return rangesIn(
        [node.JoinExpr.larg, node.JoinExpr.rarg].flatMap((side) => (side === undefined ? [] : [side])),
      )
    })
    .find((range) => !isNew(context, range))

/** Nodes of some kinds wherever they are in a statement: a WITH may hold what changes rows. */
function nodesIn(value: unknown, ...kinds: readonly string[]): readonly Node[] {
  if (Array.isArray(value)) return value.flatMap((item) => nodesIn(item, ...kinds))
  if (typeof value !== 'object' || value === null) return []
  const own = kinds.some((kind) => kind in value) ? [value as Node] : []
  return [...own, ...Object.values(value).flatMap((inner) => nodesIn(inner, ...kinds))]
}

const bulkData: Rule = {
  id: 'bulk-data',
  severity: 'error',
  title: 'A statement changes or copies all rows of a table.',
  why: 'Its row locks are held until the last row is done, it bloats the table, and its long transaction keeps vacuum and replicas back.',
  instead:
    'Let `copy` in migration.yaml do it: in chunks, throttled, resumable. For a loose script, loop over ranges of the key.',
  bad: "update users set region = 'eu';",
  peers: ['strong_migrations: backfilling data'],
  check: ({ node }, context) => {
    const all = (range: RangeVar | undefined, what: string): readonly Draft[] =>
      isNew(context, range)
        ? []
        : [{ message: `${what} of ${tableText(range)} in one transaction; the backfill does so in chunks.` }]
    const changes = nodesIn(node, 'UpdateStmt', 'DeleteStmt').flatMap((change) => {
      if ('UpdateStmt' in change && change.UpdateStmt.whereClause === undefined) {
        return all(change.UpdateStmt.relation, 'This changes every row')
      }
      if ('DeleteStmt' in change && change.DeleteStmt.whereClause === undefined) {
        return all(change.DeleteStmt.relation, 'This deletes every row')
      }
      return []
    })
    if (changes.length > 0) return changes
    const query =
      'InsertStmt' in node
        ? node.InsertStmt.selectStmt
        : 'CreateTableAsStmt' in node && node.CreateTableAsStmt.into?.skipData !== true
          ? node.CreateTableAsStmt.query
          : undefined
    const view = 'CreateTableAsStmt' in node && node.CreateTableAsStmt.objtype === 'OBJECT_MATVIEW'
    if (view || query === undefined || !('SelectStmt' in query)) return []
    const other = readsOthers(query.SelectStmt.fromClause, context)
    return other === undefined ? [] : all(other, 'This copies the rows')
  },
}

const refreshMaterializedView: Rule = {
  id: 'refresh-materialized-view',
  severity: 'error',
  title: 'A materialized view is refreshed without CONCURRENTLY.',
  why: 'ACCESS EXCLUSIVE on the view: nobody reads it until the query is done.',
  instead: 'REFRESH MATERIALIZED VIEW CONCURRENTLY; it needs a unique index on the view.',
  bad: 'refresh materialized view daily_totals;',
  good: 'refresh materialized view concurrently daily_totals;',
  peers: [],
  check: (statement, context) => {
    const { node } = statement
    if (!('RefreshMatViewStmt' in node)) return []
    const { concurrent, relation, skipData } = node.RefreshMatViewStmt
    if (concurrent === true || skipData === true || isNew(context, relation)) return []
    const word = statement.tokens.find(({ text }) => text.toLowerCase() === 'view')
    return [
      {
        message: `Nobody reads ${tableText(relation)} until its query is done.`,
        lock: lock('ACCESS EXCLUSIVE', tableText(relation)),
        fix:
          word === undefined
            ? undefined
            : script([edited(statement, [{ start: word.end, end: word.end, text: ' CONCURRENTLY' }])]),
      },
    ]
  },
}

const opaqueBlock: Rule = {
  id: 'opaque-block',
  severity: 'warning',
  title: 'A DO block hides what it does.',
  why: 'What it runs is text until it runs: neither the lint nor the executor sees its statements, its locks add up in one transaction, and a retry repeats all of it.',
  instead: 'Write the statements themselves.',
  bad: "do $$ begin execute 'alter table users add column region text'; end $$;",
  good: 'alter table users add column region text;',
  peers: ['strong_migrations: executing SQL directly'],
  check: ({ node }) =>
    'DoStmt' in node ? [{ message: 'What this block runs cannot be judged from here.' }] : [],
}

export const tableRules: readonly Rule[] = [
  truncate,
  rewriteTable,
  lockTable,
  bulkData,
  refreshMaterializedView,
  opaqueBlock,
]

/** Tables on which a statement takes ACCESS EXCLUSIVE although they are in use. */
export function exclusivelyLocked(statement: Statement, context: Context): string | undefined {
  const { node } = statement
  const WEAK = new Set([
    'AT_ValidateConstraint',
    'AT_SetStatistics',
    'AT_SetRelOptions',
    'AT_AttachPartition',
  ])
  const altered = alterationsInUse(statement, context).find(({ command: { subtype = '', def } }) => {
    const foreign = def !== undefined && 'Constraint' in def && def.Constraint.contype === 'CONSTR_FOREIGN'
    return !WEAK.has(subtype) && !foreign
  })
  if (altered !== undefined) return altered.table
  if ('RenameStmt' in node && node.RenameStmt.relation !== undefined) {
    return isNew(context, node.RenameStmt.relation) ? undefined : keyOf(node.RenameStmt.relation)
  }
  if ('DropStmt' in node && ['OBJECT_TABLE', 'OBJECT_INDEX'].includes(node.DropStmt.removeType ?? '')) {
    return node.DropStmt.concurrent === true ? undefined : 'what it drops'
  }
  if ('TruncateStmt' in node) {
    const range = rangesIn(node.TruncateStmt.relations).find((found) => !isNew(context, found))
    return range === undefined ? undefined : keyOf(range)
  }
  return undefined
}
