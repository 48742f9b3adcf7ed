import { type Node, parse } from 'libpg-query'
import { ExecutionError } from '../target/execution-error.ts'

/** @throws ExecutionError where the text is no SQL expression */
export async function expressionOf(expression: string): Promise<Node | undefined> {
  try {
    const { stmts } = await parse(`select (${expression})`)
    const select = stmts?.[0]?.stmt
    const target =
      select !== undefined && 'SelectStmt' in select ? select.SelectStmt.targetList?.[0] : undefined
    return target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined
  } catch (error) {
    throw new ExecutionError('work-impossible', `"${expression}" is no SQL expression`, { cause: error })
  }
}

/** Columns an expression names, folded as PostgreSQL folds them; `plain` where it is nothing but one. */
export async function columnsIn(expression: string): Promise<{ plain?: string; columns: readonly string[] }> {
  const node = await expressionOf(expression)
  const columns: string[] = []
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    if ('ColumnRef' in value) {
      const name = lastName(value.ColumnRef)
      if (name !== undefined) columns.push(name)
    }
    for (const child of Object.values(value)) walk(child)
  }
  walk(node)
  const plain = node !== undefined && 'ColumnRef' in node ? columns[0] : undefined
  return { columns, ...(plain === undefined ? {} : { plain }) }
}

function lastName(reference: unknown): string | undefined {
  if (typeof reference !== 'object' || reference === null || !('fields' in reference)) return undefined
  const field: unknown = Array.isArray(reference.fields) ? reference.fields.at(-1) : undefined
  if (typeof field !== 'object' || field === null || !('String' in field)) return undefined
  const text = field.String
  return typeof text === 'object' && text !== null && 'sval' in text ? String(text.sval) : undefined
}
