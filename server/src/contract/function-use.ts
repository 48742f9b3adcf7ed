import { parse, parsePlPgSQL } from 'libpg-query'

/** What the body of a function speaks of, as PostgreSQL's own parsers read it. */
export interface FunctionUse {
  /** Tables and views; `schema` where the body says it. */
  readonly tables: readonly { readonly schema?: string; readonly name: string }[]
  /** Names of columns, of whatever table. */
  readonly columns: ReadonlySet<string>
  /** It takes all columns of something: `*`, or an INSERT that lists none. */
  readonly all: boolean
  /** It runs text that is put together when it is called: nobody can say what that speaks of. */
  readonly dynamic: boolean
}

/**
 * @param definition CREATE FUNCTION, as PostgreSQL writes it
 * @returns undefined where the language is another, or the body cannot be read
 */
export async function useOfFunction(
  definition: string,
  language: string,
  body: string,
): Promise<FunctionUse | undefined> {
  try {
    if (language === 'sql') return useOfQueries([body])
    if (language !== 'plpgsql') return undefined
    const tree: unknown = await parsePlPgSQL(definition)
    const read = { queries: [] as string[], types: [] as string[], fields: [] as string[], dynamic: false }
    visitBody(tree, read)
    const use = await useOfQueries(read.queries)
    return {
      // A variable of the type of a table, or of one of its columns, needs the table too.
      tables: [...use.tables, ...read.types.map((type) => ({ name: type }))],
      columns: new Set([...use.columns, ...read.fields]),
      all: use.all,
      dynamic: read.dynamic,
    }
  } catch {
    return undefined
  }
}

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null

/** Statements and expressions of a PL/pgSQL body, types of its variables, and fields of its records. */
function visitBody(
  value: unknown,
  read: { queries: string[]; types: string[]; fields: string[]; dynamic: boolean },
): void {
  if (!isFields(value)) return
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'PLpgSQL_expr' && isFields(inner) && typeof inner.query === 'string') {
      read.queries.push(asStatement(inner.query, Number(inner.parseMode ?? 0)))
    } else if (key === 'PLpgSQL_type' && isFields(inner) && typeof inner.typname === 'string') {
      const [table = '', column] = namesOfType(inner.typname)
      read.types.push(table)
      if (column !== undefined) read.fields.push(column)
    } else if (key === 'PLpgSQL_recfield' && isFields(inner) && typeof inner.fieldname === 'string') {
      read.fields.push(inner.fieldname)
    } else if (key.startsWith('PLpgSQL_stmt_dyn') || key === 'dynquery') {
      read.dynamic = true
    }
    visitBody(inner, read)
  }
}

/** `users%rowtype`, `public.users.bio%type`: its table, and the column where it is the type of one. */
function namesOfType(type: string): readonly [table: string, column?: string] {
  const names = type
    .replace(/%(row)?type$/i, '')
    .split('.')
    .map((name) => name.replaceAll('"', '').trim())
  if (!/%type$/i.test(type)) return [names.at(-1) ?? '']
  return [names.at(-2) ?? '', names.at(-1) ?? '']
}

const EXPRESSION = 2

/** PL/pgSQL keeps conditions and right sides without the SELECT that they are run with. */
function asStatement(query: string, mode: number): string {
  if (mode < EXPRESSION) return query
  return `select ${mode === EXPRESSION ? query : query.replace(/^[^=]*?:?=/, '')}`
}

async function useOfQueries(queries: readonly string[]): Promise<FunctionUse> {
  const found = { tables: [] as { schema?: string; name: string }[], columns: new Set<string>(), all: false }
  for (const query of queries) visitQuery(await parse(query), found)
  return { ...found, dynamic: false }
}

function visitQuery(
  value: unknown,
  found: { tables: { schema?: string; name: string }[]; columns: Set<string>; all: boolean },
): void {
  if (!isFields(value)) return
  if (typeof value.relname === 'string') {
    found.tables.push({
      name: value.relname,
      ...(typeof value.schemaname === 'string' ? { schema: value.schemaname } : {}),
    })
  }
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'A_Star') found.all = true
    if (key === 'InsertStmt' && isFields(inner) && inner.cols === undefined) found.all = true
    // Columns that are read, written by UPDATE, and listed by INSERT.
    if (key === 'ColumnRef' && isFields(inner))
      for (const name of strings(inner.fields)) found.columns.add(name)
    if (key === 'ResTarget' && isFields(inner) && typeof inner.name === 'string')
      found.columns.add(inner.name)
    visitQuery(inner, found)
  }
}

const strings = (nodes: unknown): readonly string[] =>
  Array.isArray(nodes)
    ? nodes.flatMap((node: unknown) => {
        const text = isFields(node) && isFields(node.String) ? node.String.sval : undefined
        return typeof text === 'string' ? [text] : []
      })
    : []
