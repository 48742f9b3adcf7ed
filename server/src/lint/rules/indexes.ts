import { keyOf } from '../ast.ts'
import { type Context, isNew, tableText } from '../context.ts'
import { lock } from '../finding.ts'
import type { Rule } from '../rule.ts'
import type { Statement } from '../script.ts'
import { dotted, edited, ident, newName, script } from '../text.ts'
import { droppedKeys } from '../world.ts'
import { isConcurrent } from './non-transactional.ts'

const indexStmt = ({ node }: Statement) => ('IndexStmt' in node ? node.IndexStmt : undefined)

const columnNames = (statement: Statement): readonly string[] =>
  (indexStmt(statement)?.indexParams ?? []).map((param) =>
    'IndexElem' in param ? (param.IndexElem.name ?? 'expr') : 'expr',
  )

/** The statement with CONCURRENTLY, and a name where it has none. */
function concurrentCreate(statement: Statement): string {
  const index = indexStmt(statement)
  const word = statement.tokens.find(({ text }) => text.toLowerCase() === 'index')
  if (index === undefined || word === undefined) return statement.text
  const name = newName(index.relation?.relname ?? '', ...columnNames(statement), 'idx')
  const named = index.idxname === undefined || index.idxname === '' ? ` ${ident(name)}` : ''
  const concurrently = statement.tokens.find(({ text }) => text.toLowerCase() === 'concurrently')
  const at = concurrently ?? word
  const text = `${statement.source.slice(at.start, at.end)}${concurrently === undefined ? ' CONCURRENTLY' : ''}${named}`
  return script([edited(statement, [{ start: at.start, end: at.end, text }])])
}

const createIndex: Rule = {
  id: 'create-index',
  severity: 'error',
  title: 'An index is built without CONCURRENTLY.',
  why: 'A SHARE lock keeps all writes out until the index is built, which takes minutes on a large table.',
  instead:
    'Build it CONCURRENTLY; what a failed try leaves behind is dropped and built again by the executor.',
  bad: 'create index orders_user_id_idx on orders (user_id);',
  good: 'create index concurrently orders_user_id_idx on orders (user_id);',
  peers: ['squawk: require-concurrent-index-creation', 'strong_migrations: adding an index non-concurrently'],
  check: (statement, context) => {
    const index = indexStmt(statement)
    if (index === undefined || index.concurrent === true || isNew(context, index.relation)) return []
    // ON ONLY a partitioned table builds nothing: the indexes of the partitions are attached afterwards.
    if (index.relation?.inh !== true) return []
    const table = tableText(index.relation)
    return [
      {
        message: `Nobody writes to ${table} until the index is built.`,
        lock: lock('SHARE', table),
        fix: concurrentCreate(statement),
      },
    ]
  },
}

const unnamedConcurrentIndex: Rule = {
  id: 'unnamed-concurrent-index',
  severity: 'error',
  title: 'An index that is built CONCURRENTLY has no name.',
  why: 'A failed build leaves an invalid index behind, which the executor finds by its name alone; it refuses the statement.',
  instead: 'Name it.',
  bad: 'create index concurrently on orders (user_id);',
  good: 'create index concurrently orders_user_id_idx on orders (user_id);',
  peers: [],
  check: (statement) => {
    const index = indexStmt(statement)
    if (index?.concurrent !== true || (index.idxname ?? '') !== '') return []
    return [
      {
        message: 'Without a name, what a failed build leaves behind cannot be found.',
        fix: concurrentCreate(statement),
      },
    ]
  },
}

const wideIndex: Rule = {
  id: 'wide-index',
  severity: 'warning',
  title: 'An index that is not unique has more than three columns.',
  why: 'Columns after the third rarely narrow a search further, and every write pays for them.',
  instead: 'Keep the columns that the queries filter by; put what they only read into INCLUDE.',
  bad: 'create index concurrently orders_wide_idx on orders (user_id, status, total, created_at);',
  good: 'create index concurrently orders_wide_idx on orders (user_id, status) include (total, created_at);',
  peers: ['strong_migrations: keeping non-unique indexes to three columns or less'],
  check: (statement) => {
    const index = indexStmt(statement)
    const count = index?.indexParams?.length ?? 0
    if (index === undefined || index.unique === true || count <= 3) return []
    return [{ message: `${count} columns; after the third they cost each write more than they save reads.` }]
  },
}

const dropIndex: Rule = {
  id: 'drop-index',
  severity: 'error',
  title: 'An index is dropped without CONCURRENTLY.',
  why: 'ACCESS EXCLUSIVE on its table is waited for behind every query that runs, and everybody waits behind it.',
  instead: 'Drop it CONCURRENTLY, one index per statement.',
  bad: 'drop index orders_status_idx;',
  good: 'drop index concurrently orders_status_idx;',
  peers: ['squawk: require-concurrent-index-deletion'],
  check: (statement, context) => {
    const { node } = statement
    if (
      !('DropStmt' in node) ||
      node.DropStmt.removeType !== 'OBJECT_INDEX' ||
      node.DropStmt.concurrent === true
    ) {
      return []
    }
    const ofOthers = droppedKeys(node).filter((key) => !onNewTable(key, context))
    if (ofOthers.length === 0) return []
    const exists = node.DropStmt.missing_ok === true ? 'IF EXISTS ' : ''
    const drops = droppedKeys(node).map((key) => `DROP INDEX CONCURRENTLY ${exists}${dotted(key)}`)
    return [
      {
        message: `Dropping ${ofOthers.join(', ')} waits for a lock behind which all queries of the table queue.`,
        lock: lock('ACCESS EXCLUSIVE', `the table of ${ofOthers.join(', ')}`),
        fix: script(drops),
      },
    ]
  },
}

const onNewTable = (index: string, { world }: Context): boolean => {
  const known = world.indexes.get(index)
  return known !== undefined && world.tables.has(known.table)
}

const reindex: Rule = {
  id: 'reindex',
  severity: 'error',
  title: 'Indexes are rebuilt without CONCURRENTLY.',
  why: 'Writes wait until the rebuild is done, and so do reads that would use the index.',
  instead: 'From PostgreSQL 12, REINDEX … CONCURRENTLY.',
  bad: 'reindex table orders;',
  good: 'reindex table concurrently orders;',
  peers: ['squawk: require-concurrent-reindex'],
  check: (statement, context) => {
    const { node } = statement
    if (!('ReindexStmt' in node) || isConcurrent(node)) return []
    const { kind, relation, name } = node.ReindexStmt
    if (kind === 'REINDEX_OBJECT_TABLE' && isNew(context, relation)) return []
    if (kind === 'REINDEX_OBJECT_INDEX' && onNewTable(keyOf(relation), context)) return []
    const what = relation === undefined ? (name ?? 'the database') : tableText(relation)
    const word = statement.tokens.find(({ text }) => /^(index|table|schema|database)$/i.test(text))
    const possible = word !== undefined && kind !== 'REINDEX_OBJECT_SYSTEM' && context.version >= 12
    return [
      {
        message: `Writes to the table, and reads through the index, wait until ${what} is rebuilt.`,
        lock: lock('ACCESS EXCLUSIVE', kind === 'REINDEX_OBJECT_INDEX' ? what : `every index of ${what}`),
        fix: possible
          ? script([edited(statement, [{ start: word.end, end: word.end, text: ' CONCURRENTLY' }])])
          : undefined,
      },
    ]
  },
}

export const indexRules: readonly Rule[] = [
  createIndex,
  unnamedConcurrentIndex,
  wideIndex,
  dropIndex,
  reindex,
]
