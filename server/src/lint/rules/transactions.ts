import type { AlterTableCmd } from 'libpg-query'
import { columnDefIn, commandsOf, constraintIn, constraintsOf, isSerial, keyOf } from '../ast.ts'
import { alterationsInUse, isNew, tableText } from '../context.ts'
import { lock } from '../finding.ts'
import type { Rule } from '../rule.ts'
import { safeType } from '../safe-types.ts'
import type { Statement } from '../script.ts'
import { commandSpans, script } from '../text.ts'
import { isNonTransactional, tablesOf } from './non-transactional.ts'

const transactionControl: Rule = {
  id: 'transaction-control',
  severity: 'error',
  title: 'The file begins or ends transactions itself.',
  why: 'The executor runs each statement in a transaction of its own, with its record, so that it can wait for locks, retry and resume; it refuses a file that interferes.',
  instead: 'Take BEGIN, COMMIT and SAVEPOINT out.',
  bad: `begin;
alter table users add column region text;
commit;`,
  good: 'alter table users add column region text;',
  peers: ['squawk: transaction-nesting', 'squawk: ban-uncommitted-transaction'],
  check: ({ node }, context) => {
    if (!('TransactionStmt' in node)) return []
    const { kind = '' } = node.TransactionStmt
    // One finding for a pair: at its BEGIN.
    const ends = kind === 'TRANS_STMT_COMMIT' || kind === 'TRANS_STMT_ROLLBACK'
    if (ends && context.transaction !== undefined) return []
    return [{ message: 'Every statement runs in a transaction of its own; the executor refuses this one.' }]
  },
}

const concurrentInTransaction: Rule = {
  id: 'concurrent-in-transaction',
  severity: 'error',
  title: 'A statement that cannot run in a transaction stands between BEGIN and COMMIT.',
  why: 'PostgreSQL refuses it, and with it the whole transaction.',
  instead: 'Take BEGIN and COMMIT out.',
  bad: `begin;
create index concurrently orders_user_id_idx on orders (user_id);
commit;`,
  good: 'create index concurrently orders_user_id_idx on orders (user_id);',
  peers: ['squawk: ban-concurrent-index-creation-in-transaction'],
  check: ({ node }, context) =>
    context.transaction !== undefined && isNonTransactional(node)
      ? [{ message: 'PostgreSQL refuses to run this inside of a transaction.' }]
      : [],
}

const statementsUnderLock: Rule = {
  id: 'statements-under-lock',
  severity: 'error',
  title: 'More statements run while a table is locked exclusively.',
  why: 'Locks are held until COMMIT: everybody waits for the statements after it as well.',
  instead: 'Take BEGIN and COMMIT out: every statement then holds its own locks only.',
  bad: `begin;
alter table users add column region text;
create table regions (name text primary key);
commit;`,
  good: `alter table users add column region text;
create table regions (name text primary key);`,
  peers: ['eugene: more statements while AccessExclusiveLock is held'],
  check: ({ node, index }, context) => {
    const held = context.transaction?.exclusive
    if (held === undefined || held.statement.index !== index - 1 || 'TransactionStmt' in node) return []
    return [
      {
        message: `${held.on} stays locked by the statement before until COMMIT.`,
        lock: lock('ACCESS EXCLUSIVE', held.on),
      },
    ]
  },
}

const mixedTransaction: Rule = {
  id: 'mixed-transaction',
  severity: 'warning',
  title: 'A statement that cannot run in a transaction shares a file with work on other tables.',
  why: 'When it fails (a unique index finds a duplicate, say), the rest of the file has been applied or is still to come, and neither the way forward nor the way back is free. What belongs to the same table belongs together and is no finding.',
  instead: 'Give unrelated work a migration of its own.',
  bad: `create index concurrently orders_user_id_idx on orders (user_id);
alter table users add column region text;`,
  good: `create index concurrently users_region_idx on users (name);
alter table users add column region text;`,
  peers: [],
  check: (statement, context) => {
    if (context.part !== 'expand' || context.transaction !== undefined) return []
    if (!isNonTransactional(statement.node)) return []
    if (context.before.some(({ node }) => isNonTransactional(node))) return []
    const own = tablesOf(statement.node, context.world)
    const other = context.statements.find(
      ({ node }) =>
        !isNonTransactional(node) &&
        tablesOf(node, context.world).some((table) => own.length > 0 && !own.includes(table)),
    )
    if (other === undefined) return []
    const { line } = other.source.position(other.start)
    return [
      {
        message: `If this fails, line ${line}, which works on another table, is applied without it or waits for it.`,
      },
    ]
  },
}

const SEPARATE = new Set(['AT_ValidateConstraint', 'AT_AttachPartition', 'AT_DetachPartition'])

/** Whether commands may share a statement with others: validation and foreign keys take other locks. */
const canShare = ({ subtype, def }: AlterTableCmd): boolean =>
  !SEPARATE.has(subtype ?? '') && constraintIn(def)?.contype !== 'CONSTR_FOREIGN'

/** Whether the text of a command may be repeated in a fix: nothing else could be found in it. */
const isHarmless = ({ subtype, def }: AlterTableCmd): boolean => {
  const column = columnDefIn(def)
  if (subtype === 'AT_ColumnDefault') return true
  return (
    subtype === 'AT_AddColumn' &&
    column !== undefined &&
    constraintsOf(column).length === 0 &&
    safeType(column.typeName) === undefined &&
    !isSerial(column.typeName)
  )
}

const combineAlters: Rule = {
  id: 'combine-alters',
  severity: 'warning',
  title: 'Several ALTER TABLE of one table follow each other.',
  why: 'Each waits for ACCESS EXCLUSIVE anew, with everybody queueing behind it; where they rewrite the table, each does so on its own.',
  instead: 'Write them as one statement.',
  bad: `alter table users add column region text;
alter table users add column city text;`,
  good: 'alter table users add column region text, add column city text;',
  peers: ['eugene: several ALTER TABLE where one will do'],
  check: (statement, context) => {
    const last = context.before.at(-1)
    const here = alterationsInUse(statement, context)
    const range = here[0]?.range
    if (last === undefined || range === undefined || !('AlterTableStmt' in last.node)) return []
    const there = commandsOf(last.node)
    const all = [...there, ...here.map(({ command }) => command)]
    if (keyOf(last.node.AlterTableStmt.relation) !== keyOf(range) || !all.every(canShare)) return []
    // DROP CONSTRAINT comes first within one statement: what the constraint proved would have to be read again.
    const drops = all.some(({ subtype }) => subtype === 'AT_DropConstraint')
    if (drops && all.some(({ subtype }) => subtype === 'AT_SetNotNull')) return []
    if (isNew(context, range)) return []
    const table = tableText(range)
    return [
      {
        message: `${table} is locked twice: this and the statement of line ${last.source.position(last.start).line} can be one.`,
        lock: lock('ACCESS EXCLUSIVE', table),
        fix: all.every(isHarmless) ? combined(table, [last, statement]) : undefined,
      },
    ]
  },
}

const combined = (table: string, statements: readonly Statement[]): string =>
  script([
    `ALTER TABLE ${table} ${statements
      .flatMap((one) => commandSpans(one).map(({ start, end }) => one.source.slice(start, end)))
      .join(', ')}`,
  ])

export const transactionRules: readonly Rule[] = [
  transactionControl,
  concurrentInTransaction,
  statementsUnderLock,
  mixedTransaction,
  combineAlters,
]
