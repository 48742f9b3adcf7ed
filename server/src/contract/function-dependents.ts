import type { Sql } from '../target/target.ts'
import { type FunctionUse, useOfFunction } from './function-use.ts'

/** A function that needs what goes, or may need it. */
export interface FunctionDependent {
  readonly bare: string
  /** With its arguments, as `contract.unaffected` lists it. */
  readonly full: string
  /** Undefined where its body has been read and uses what goes; else why nobody can be sure. */
  readonly unsure: string | undefined
}

interface Candidate extends Record<string, unknown> {
  readonly bare: string
  readonly full: string
  readonly language: string
  readonly definition: string
  readonly body: string
  /** It runs for rows of the table, and knows its columns without its name. */
  readonly triggered: boolean
  readonly names: boolean
}

// The catalog records what functions need whose body is SQL (BEGIN ATOMIC), and of nothing else.
const CANDIDATES = `
  select p.proname as bare, p.oid::regprocedure::text as full, l.lanname as language, p.prosrc as body,
         pg_get_functiondef(p.oid) as definition, g.triggered,
         p.prosrc ~* $2 and ($3::text is null or p.prosrc ~* $3) as names
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang,
    lateral (select exists (select from pg_trigger where tgrelid = $1::oid and not tgisinternal and tgfoid = p.oid)) g(triggered)
  where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'switchback') and p.prosqlbody is null
    and p.prokind <> 'a' and (p.prosrc ~* $2 or g.triggered)
    and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = p.oid and deptype = 'e')
  order by 2`

/** Functions whose body needs a table, or those of its columns. @param columns empty: the whole table goes */
export async function functionDependents(
  on: Sql,
  oid: number,
  columns: readonly string[],
): Promise<readonly FunctionDependent[]> {
  const named = await on.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = $1::oid`,
    [oid],
  )
  const [table] = named.rows
  if (table === undefined) return []
  const words = columns.length === 0 ? null : columns.map(word).join('|')
  const { rows } = await on.query<Candidate>(CANDIDATES, [oid, word(table.name), words])
  const found: FunctionDependent[] = []
  for (const candidate of rows) {
    const { bare, full, language, body, definition } = candidate
    const verdict = judge(candidate, await useOfFunction(definition, language, body), table, columns)
    if (verdict !== 'does not') {
      found.push({ bare, full, unsure: verdict === 'does' ? undefined : verdict.unsure })
    }
  }
  return found
}

const word = (name: string): string => `\\m${name.replaceAll(/[^\w]/g, '.')}\\M`

type Verdict = 'does' | 'does not' | { readonly unsure: string }

function judge(
  { language, names, triggered }: Candidate,
  use: FunctionUse | undefined,
  table: { readonly schema: string; readonly name: string },
  columns: readonly string[],
): Verdict {
  const byWords = (why: string): Verdict =>
    names ? { unsure: `${why}, and the words are in it` } : 'does not'
  if (use === undefined) return byWords(`its body is ${language} that cannot be read here`)
  const ofTable = use.tables.some(
    ({ schema, name }) => name === table.name && (schema === undefined || schema === table.schema),
  )
  if (columns.length === 0) {
    if (ofTable) return 'does'
  } else if (ofTable || triggered) {
    if (columns.some((column) => use.columns.has(column))) return 'does'
    if (ofTable && use.all) return { unsure: 'it takes all columns' }
  }
  return use.dynamic ? byWords('it runs text that it puts together') : 'does not'
}
