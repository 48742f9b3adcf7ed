import { quoteIdent } from '../db/db.ts'
import type { StatementMode, TableName } from '../sql-text/sql-statements.ts'
import { ExecutionError } from '../target/execution-error.ts'
import type { Sql } from '../target/target.ts'

export const quoted = ({ schema, name }: TableName): string =>
  schema === undefined ? quoteIdent(name) : `${quoteIdent(schema)}.${quoteIdent(name)}`

/** What is to be run for a statement that may have been cut off, or have gone through, in an earlier try. */
export type Prepared = { readonly run: string } | 'done already'

/**
 * Looks at what an earlier try of a statement without transaction left behind, and clears it away.
 * Nothing recorded whether such a statement succeeded: the catalog is the record.
 */
export async function prepareConcurrent(on: Sql, mode: StatementMode, text: string): Promise<Prepared> {
  switch (mode.kind) {
    case 'create-index':
      return prepareIndex(on, mode, text)
    case 'drop-index': {
      const left = []
      for (const index of mode.indexes) {
        const there = await on.query('select 1 where to_regclass($1) is not null', [quoted(index)])
        if (there.rows.length > 0) left.push(index)
      }
      return left.length === 0 ? 'done already' : { run: text }
    }
    case 'detach': {
      const { rows } = await on.query<{ pending: boolean }>(
        `select inhdetachpending as pending from pg_inherits
         where inhrelid = to_regclass($1) and inhparent = to_regclass($2)`,
        [quoted(mode.partition), quoted(mode.parent)],
      )
      const found = rows[0]
      if (found === undefined) return 'done already'
      if (!found.pending) return { run: text }
      return { run: `alter table ${quoted(mode.parent)} detach partition ${quoted(mode.partition)} finalize` }
    }
    case 'reindex':
      await dropLeftovers(on, mode.relation)
      return { run: text }
    default:
      return { run: text }
  }
}

/** REINDEX CONCURRENTLY that was cut off leaves its new indexes, or the old ones, behind: invalid, and kept up. */
async function dropLeftovers(on: Sql, relation: TableName): Promise<void> {
  const { rows } = await on.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name
     from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
     where not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'
       and (i.indrelid = to_regclass($1)
            or i.indrelid = (select indrelid from pg_index where indexrelid = to_regclass($1)))`,
    [quoted(relation)],
  )
  for (const leftover of rows) await on.query(`drop index concurrently if exists ${quoted(leftover)}`)
}

/**
 * Takes away the index that a build left invalid. Nobody reads it, but every write keeps it up, and a unique one
 * refuses rows. Best effort: what stays is found by the next try.
 */
export async function dropInvalidIndex(on: Sql, mode: StatementMode): Promise<void> {
  if (mode.kind !== 'create-index') return
  const { rows } = await on.query<{ schema: string }>(
    `select n.nspname as schema from pg_index i join pg_class c on c.oid = i.indexrelid
       join pg_namespace n on n.oid = c.relnamespace
     where i.indrelid = to_regclass($1) and c.relname = $2 and not i.indisvalid`,
    [quoted(mode.table), mode.index],
  )
  const [found] = rows
  if (found === undefined) return
  // It waits for transactions to end: they may take long, and then the next try does it.
  await on.query('set statement_timeout = 5000')
  await on.query(`drop index concurrently if exists ${quoted({ ...found, name: mode.index })}`)
}

async function prepareIndex(
  on: Sql,
  { index, table }: Extract<StatementMode, { kind: 'create-index' }>,
  text: string,
): Promise<Prepared> {
  const { rows } = await on.query<{ schema: string; valid: boolean; same_table: boolean }>(
    `select n.nspname as schema, i.indisvalid as valid, i.indrelid = t.oid as same_table
     from pg_class t
       join pg_class c on c.relnamespace = t.relnamespace and c.relname = $2
       join pg_namespace n on n.oid = c.relnamespace
       join pg_index i on i.indexrelid = c.oid
     where t.oid = to_regclass($1)`,
    [quoted(table), index],
  )
  const found = rows[0]
  if (found === undefined) return { run: text }
  if (!found.same_table) {
    throw new ExecutionError('statement-failed', `an index "${index}" of another table is there already`)
  }
  // Valid and not recorded: the try before ended between the index and its record.
  if (found.valid) return 'done already'
  await on.query(`drop index concurrently if exists ${quoted({ schema: found.schema, name: index })}`)
  return { run: text }
}
