import type { MigrationDefinition } from '@switchback/migrations-registry'
import { keyOfNames } from './ast.ts'
import { columnsOf } from './script.ts'

/** What the handlers of a migration read and write, as far as its definition tells. */
export interface DefinitionUse {
  readonly id: string
  /** Absent where the migration has no paths. */
  readonly paths?: {
    readonly from: string
    readonly to: string
    /** Columns of `from` that old uses: whatever the mapping reads. */
    readonly oldColumns: ReadonlySet<string>
    /** Columns of `from` whose content moves, and which the contract may therefore drop. */
    readonly moved: ReadonlySet<string>
    /** Columns of `to` that new uses. */
    readonly newColumns: ReadonlySet<string>
  }
}

export function definitionUse({ id, copy }: MigrationDefinition): DefinitionUse {
  if (copy === undefined) return { id }
  const from = keyOfNames(copy.from.split('.'))
  const to = keyOfNames(copy.to.split('.'))
  const newColumns = new Set(Object.keys(copy.columns))
  // Within one table the key is old's and new's alike.
  if (from !== to) for (const column of Object.keys(copy.key)) newColumns.add(column)
  for (const expression of Object.values(copy.reverse ?? {})) {
    for (const column of columnsOf(expression)) newColumns.add(column)
  }
  const moved = new Set(Object.values(copy.columns).flatMap((expression) => columnsOf(expression)))
  if (from === to) for (const column of newColumns) moved.delete(column)
  const read = [...Object.values(copy.key), ...(copy.where === undefined ? [] : [copy.where])]
  const oldColumns = new Set([...moved, ...read.flatMap((expression) => columnsOf(expression))])
  return { id, paths: { from, to, oldColumns, moved, newColumns } }
}
