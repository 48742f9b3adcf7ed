import type { MigrationDefinition, MigrationSql } from '@switchback/migrations-registry'
import type { Node } from 'libpg-query'
import {
  alteredTable,
  columnDefIn,
  commandsOf,
  constraintIn,
  keyOf,
  keyOfNames,
  objectNames,
} from '../lint/ast.ts'
import { definitionUse } from '../lint/definition-use.ts'
import { parseSql } from '../sql-text/sql-statements.ts'

/** What a migration does to a table, one of its columns, or an index. */
export interface Claim {
  readonly table: string
  /** Empty where it is about the whole table. */
  readonly part: string
  readonly does: 'makes' | 'changes' | 'drops' | 'copies from' | 'copies to'
}

interface Migration {
  readonly definition: MigrationDefinition
  readonly sql: MigrationSql
}

/** What the files of a migration do, and what it copies. Files that cannot be parsed claim nothing. */
export async function claimsOf(
  { definition, sql }: Migration,
  files: readonly (keyof MigrationSql)[] = ['expand', 'contract'],
): Promise<readonly Claim[]> {
  const claims: Claim[] = []
  for (const file of files) {
    const text = sql[file]
    if (text === undefined) continue
    const statements = await parseSql(text, `${file}.sql`).catch(() => [])
    claims.push(...statements.flatMap(({ node }) => claimsOfNode(node)))
  }
  const { paths } = definitionUse(definition)
  if (paths !== undefined) {
    const { from, to, oldColumns, newColumns } = paths
    claims.push(...[...oldColumns].map((part): Claim => ({ table: from, part, does: 'copies from' })))
    claims.push(...[...newColumns].map((part): Claim => ({ table: to, part, does: 'copies to' })))
  }
  return claims
}

function claimsOfNode(node: Node): readonly Claim[] {
  if ('CreateStmt' in node) return [{ table: keyOf(node.CreateStmt.relation), part: '', does: 'makes' }]
  if ('IndexStmt' in node) {
    const { relation, idxname = '' } = node.IndexStmt
    return idxname === '' ? [] : [{ table: keyOf(relation), part: `index ${idxname}`, does: 'makes' }]
  }
  if ('DropStmt' in node && node.DropStmt.removeType === 'OBJECT_TABLE') {
    return (node.DropStmt.objects ?? []).map((object) => ({
      table: keyOfNames(objectNames(object)),
      part: '',
      does: 'drops',
    }))
  }
  if ('TruncateStmt' in node) {
    return (node.TruncateStmt.relations ?? []).flatMap((relation): readonly Claim[] =>
      'RangeVar' in relation ? [{ table: keyOf(relation.RangeVar), part: '', does: 'drops' }] : [],
    )
  }
  if ('RenameStmt' in node) {
    const { renameType, relation, subname = '', newname = '' } = node.RenameStmt
    const table = keyOf(relation)
    if (renameType === 'OBJECT_COLUMN') {
      return [
        { table, part: subname, does: 'drops' },
        { table, part: newname, does: 'makes' },
      ]
    }
    if (renameType !== 'OBJECT_TABLE') return []
    return [
      { table, part: '', does: 'drops' },
      { table: newname, part: '', does: 'makes' },
    ]
  }
  const table = alteredTable(node)
  if (table === undefined) return []
  return commandsOf(node).flatMap(({ subtype = 'AT_SetOptions', name = '', def }): readonly Claim[] => {
    const column = columnDefIn(def)?.colname
    const constraint = constraintIn(def)?.conname
    const of = (part: string, does: Claim['does']): readonly Claim[] => [{ table: keyOf(table), part, does }]
    if (subtype === 'AT_AddColumn' && column !== undefined) return of(column, 'makes')
    if (subtype === 'AT_DropColumn') return of(name, 'drops')
    if (subtype === 'AT_AddConstraint')
      return constraint === undefined ? [] : of(`constraint ${constraint}`, 'makes')
    if (subtype === 'AT_DropConstraint') return of(`constraint ${name}`, 'drops')
    return name === '' || subtype === 'AT_ValidateConstraint' ? [] : of(name, 'changes')
  })
}

/** The first pair of claims that cannot both be, in words; undefined where both can go on side by side. */
export function conflictBetween(
  own: readonly Claim[],
  others: readonly Claim[],
  names: { readonly own: string; readonly other: string },
): string | undefined {
  for (const mine of own) {
    const theirs = others.find((claim) => areAtOdds(mine, claim))
    if (theirs === undefined) continue
    return `${names.own} ${mine.does} ${what(mine)}, which ${names.other} ${theirs.does}`
  }
  return undefined
}

const what = ({ table, part }: Claim): string => {
  if (part === '') return `table ${table}`
  return part.includes(' ') ? `${part} of ${table}` : `column ${table}.${part}`
}

function areAtOdds(one: Claim, other: Claim): boolean {
  if (one.table !== other.table) return false
  if (one.part === other.part) return !(one.does === 'copies from' && other.does === 'copies from')
  // A table that goes takes all of its parts with it.
  return (one.part === '' && one.does === 'drops') || (other.part === '' && other.does === 'drops')
}
