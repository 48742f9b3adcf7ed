import { createHash } from 'node:crypto'
import { hasSqlDetails, type Node, parse } from 'libpg-query'
import { ExecutionError, messageOf } from '../target/execution-error.ts'
import { wordsOf } from './words.ts'

export interface SqlStatement {
  readonly text: string
  /** Of the words alone: comments and white space may change, what the statement does may not. */
  readonly checksum: string
  readonly node: Node
}

/** PostgreSQL's own parser: offsets are in bytes of UTF-8. */
export async function parseSql(sql: string, file: string): Promise<readonly SqlStatement[]> {
  try {
    const bytes = Buffer.from(sql, 'utf8')
    const { stmts = [] } = await parse(sql)
    const statements: SqlStatement[] = []
    for (const { stmt, stmt_location: start = 0, stmt_len: length } of stmts) {
      if (stmt === undefined) continue
      const end = length === undefined || length === 0 ? bytes.length : start + length
      const text = bytes.subarray(start, end).toString('utf8').trim()
      statements.push({ text, checksum: await checksumOf(text), node: stmt })
    }
    return statements
  } catch (error) {
    const at = hasSqlDetails(error) ? lineOf(sql, error.sqlDetails?.cursorPosition ?? 0) : ''
    throw new ExecutionError('work-impossible', `${file}${at}: ${messageOf(error)}`, { cause: error })
  }
}

const checksumOf = async (text: string): Promise<string> =>
  createHash('sha256')
    .update((await wordsOf(text)).join(' '))
    .digest('hex')

const lineOf = (sql: string, position: number): string =>
  `:${[...sql].slice(0, position).filter((character) => character === '\n').length + 1}`

/** A table as a statement names it. */
export interface TableName {
  readonly schema?: string
  readonly name: string
}

export const tableNameOf = (range: { schemaname?: string; relname?: string }): TableName => ({
  name: range.relname ?? '',
  ...(range.schemaname === undefined ? {} : { schema: range.schemaname }),
})

/** Names in a list of strings, such as `{schema, table}`. */
export function stringsIn(node: Node | undefined): readonly string[] {
  if (node === undefined) return []
  if ('String' in node) return [node.String.sval ?? '']
  if ('List' in node) return (node.List.items ?? []).flatMap(stringsIn)
  if ('TypeName' in node) return (node.TypeName.names ?? []).flatMap(stringsIn)
  if ('ObjectWithArgs' in node) return (node.ObjectWithArgs.objname ?? []).flatMap(stringsIn)
  return []
}

/** What a statement needs of its executor. */
export type StatementMode =
  /** In a transaction, with its record. */
  | { readonly kind: 'transaction'; readonly long: boolean }
  | { readonly kind: 'create-index'; readonly index: string; readonly table: TableName }
  | { readonly kind: 'drop-index'; readonly indexes: readonly TableName[] }
  | { readonly kind: 'detach'; readonly parent: TableName; readonly partition: TableName }
  | { readonly kind: 'reindex'; readonly relation: TableName }
  /** Alone, and done again where a crash hides whether it was done. */
  | { readonly kind: 'alone' }

const hasOption = (params: readonly Node[] | undefined, name: string): boolean =>
  (params ?? []).some((param) => 'DefElem' in param && param.DefElem.defname === name)

export function modeOf({ node, text }: SqlStatement): StatementMode {
  if ('TransactionStmt' in node) {
    throw new ExecutionError(
      'work-impossible',
      `"${text}" controls a transaction; each statement runs in one of its own already. Take it out.`,
    )
  }
  if ('IndexStmt' in node && node.IndexStmt.concurrent === true) {
    const { idxname, relation } = node.IndexStmt
    if (idxname === undefined || idxname === '') {
      throw new ExecutionError(
        'work-impossible',
        `"${text}" needs a name for its index: without one, what a failed try left behind cannot be found.`,
      )
    }
    return { kind: 'create-index', index: idxname, table: tableNameOf(relation ?? {}) }
  }
  if ('DropStmt' in node && node.DropStmt.concurrent === true) {
    const indexes = (node.DropStmt.objects ?? []).map((object) => qualified(stringsIn(object)))
    return { kind: 'drop-index', indexes }
  }
  if ('AlterTableStmt' in node) {
    const commands = (node.AlterTableStmt.cmds ?? []).flatMap((command) =>
      'AlterTableCmd' in command ? [command.AlterTableCmd] : [],
    )
    for (const { def } of commands) {
      if (def !== undefined && 'PartitionCmd' in def && def.PartitionCmd.concurrent === true) {
        return {
          kind: 'detach',
          parent: tableNameOf(node.AlterTableStmt.relation ?? {}),
          partition: tableNameOf(def.PartitionCmd.name ?? {}),
        }
      }
    }
    return { kind: 'transaction', long: commands.some(({ subtype }) => subtype === 'AT_ValidateConstraint') }
  }
  if ('ReindexStmt' in node && hasOption(node.ReindexStmt.params, 'concurrently')) {
    return { kind: 'reindex', relation: tableNameOf(node.ReindexStmt.relation ?? {}) }
  }
  const alone =
    ['VacuumStmt', 'CallStmt', 'AlterSystemStmt', 'CreatedbStmt', 'DropdbStmt'].some(
      (kind) => kind in node,
    ) ||
    ['CreateTableSpaceStmt', 'DropTableSpaceStmt', 'CreateSubscriptionStmt', 'DropSubscriptionStmt'].some(
      (kind) => kind in node,
    )
  if (alone) return { kind: 'alone' }
  const quick = ['DropStmt', 'RenameStmt', 'CreateStmt', 'AlterObjectSchemaStmt', 'ViewStmt'].some(
    (kind) => kind in node,
  )
  return { kind: 'transaction', long: !quick }
}

export function qualified(names: readonly string[]): TableName {
  const name = names.at(-1) ?? ''
  const schema = names.at(-2)
  return schema === undefined ? { name } : { schema, name }
}
