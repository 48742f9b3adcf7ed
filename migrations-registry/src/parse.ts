import type { Document, Node } from 'yaml'
import { LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import type { MigrationDefinition } from './definition.ts'
import { definitionSchema } from './definition.ts'

/** One thing that is wrong in a definition. Lines and columns count from 1. */
export interface DefinitionProblem {
  readonly file: string
  readonly line: number
  readonly column: number
  /** Where in the document, such as `rollout[1].share`. */
  readonly path: string
  readonly message: string
}

export type ParsedDefinition =
  | { readonly ok: true; readonly definition: MigrationDefinition }
  | { readonly ok: false; readonly problems: readonly DefinitionProblem[] }

/** Parses `migration.yaml`; all problems are reported at once, each with its place. Never throws. */
export function parseDefinition(text: string, file: string): ParsedDefinition {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
  })
  if (document.errors.length > 0) {
    return {
      ok: false,
      problems: document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0])
        return {
          file,
          line,
          column: col,
          path: '',
          message: `not valid YAML: ${error.message}`,
        }
      }),
    }
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 20 })
  } catch (error) {
    const message = `not usable YAML: ${error instanceof Error ? error.message : String(error)}`
    return { ok: false, problems: [{ file, line: 1, column: 1, path: '', message }] }
  }
  const result = definitionSchema.safeParse(value, { reportInput: true })
  if (result.success) return { ok: true, definition: result.data }
  return {
    ok: false,
    problems: result.error.issues
      .flatMap((issue) => flatten(issue))
      .map(({ issue, path }) => {
        const { line, col } = lines.linePos(offsetOf(document, path))
        return {
          file,
          line,
          column: col,
          path: pathText(path),
          message: explain(issue, path),
        }
      }),
  }
}

type Issue = z.core.$ZodIssue
interface Placed {
  readonly issue: Issue
  readonly path: readonly PropertyKey[]
}

/** Unknown keys are reported one by one, so that each gets its own line. */
function flatten(issue: Issue): Placed[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ issue, path: [...issue.path, key] }))
  }
  return [{ issue, path: issue.path }]
}

function explain(issue: Issue, path: readonly PropertyKey[]): string {
  if (issue.code === 'unrecognized_keys') return `unknown field "${String(path.at(-1))}"`
  const { input } = issue
  if (input === undefined || input === null) return `${issue.message}; found nothing`
  const found =
    typeof input === 'object' ? (Array.isArray(input) ? 'a list' : 'a mapping') : JSON.stringify(input)
  return `${issue.message}; found ${found}`
}

/** Offset of the node at `path`, or of its nearest ancestor that is in the document. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as Node | undefined
    const range = node?.range
    if (range) return range[0]
  }
  return 0
}

const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`,
    '',
  )
