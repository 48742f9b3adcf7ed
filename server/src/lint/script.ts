import { hasSqlDetails, loadModule, type Node, parseSync, type ScanToken, scanSync } from 'libpg-query'
import { wordsOfSync } from '../sql-text/words.ts'
import { createSource, type Source } from './source.ts'

export interface Statement {
  readonly node: Node
  readonly source: Source
  /** Bytes from its first word to the end of its last, without the semicolon. */
  readonly start: number
  readonly end: number
  readonly text: string
  /** Its words, without comments. */
  readonly tokens: readonly ScanToken[]
  /** Place in its file, from 0. */
  readonly index: number
}

export interface Script {
  readonly source: Source
  readonly statements: readonly Statement[]
  readonly comments: readonly ScanToken[]
}

/** Why a file could not be read. */
export interface Unreadable {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
}

export type ParsedScript =
  | { readonly ok: true; readonly script: Script }
  | { readonly ok: false; readonly problem: Unreadable }

/** The parser is WebAssembly and is loaded once; parsing is synchronous from then on. */
export const loadParser = (): Promise<void> => loadModule()

/** Statements of a file with the words and comments they were written with. {@link loadParser} comes first. */
export function parseScript(file: string, text: string): ParsedScript {
  const source = createSource(file, text)
  // The parser takes a C string: what follows a zero byte would go unread, and so unjudged.
  const zero = text.indexOf('\0')
  if (zero !== -1) return unreadable(source, zero, 'holds a zero byte')
  if (text.trim() === '') return { ok: true, script: { source, statements: [], comments: [] } }
  try {
    const { stmts = [] } = parseSync(text)
    const { words, comments } = wordsOfSync(text)
    const statements: Statement[] = []
    let next = 0
    for (const { stmt, stmt_location: from = 0, stmt_len: length } of stmts) {
      const to = length === undefined || length === 0 ? source.length : from + length
      while ((words[next]?.start ?? to) < from) next += 1
      const first = next
      while ((words[next]?.start ?? to) < to) next += 1
      const own = words.slice(first, next).filter((token) => token.text !== ';')
      if (stmt === undefined || own.length === 0) continue
      const start = own[0]?.start ?? from
      const end = own.at(-1)?.end ?? to
      const index = statements.length
      statements.push({ node: stmt, source, start, end, text: source.slice(start, end), tokens: own, index })
    }
    return { ok: true, script: { source, statements, comments } }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return unreadable(source, hasSqlDetails(error) ? (error.sqlDetails?.cursorPosition ?? 0) : 0, message)
  }
}

/** `at` counts code points. */
function unreadable(source: Source, at: number, message: string): ParsedScript {
  const before = [...source.text].slice(0, at).join('')
  return {
    ok: false,
    problem: { file: source.file, message, ...source.position(Buffer.byteLength(before)) },
  }
}

/** Columns that an expression speaks of; none where it cannot be parsed. */
export function columnsOf(expression: string): readonly string[] {
  try {
    const found: string[] = []
    const visit = (value: unknown): void => {
      if (Array.isArray(value)) for (const item of value) visit(item)
      else if (typeof value === 'object' && value !== null) {
        for (const [key, inner] of Object.entries(value)) {
          if (key === 'ColumnRef') {
            const fields = (inner as { fields?: readonly Node[] }).fields ?? []
            const last = fields.at(-1)
            if (last !== undefined && 'String' in last) found.push(last.String.sval ?? '')
          } else visit(inner)
        }
      }
    }
    visit(parseSync(`select ${expression}`))
    return found
  } catch {
    return []
  }
}

/** Whether a name may stand without quotes where a table or column is named. */
export function isPlainName(name: string): boolean {
  if (!/^[a-z_][a-z0-9_$]*$/.test(name)) return false
  const kind = scanSync(name).tokens[0]?.keywordKind ?? 0
  return kind <= 2
}
