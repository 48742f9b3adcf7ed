import type { z } from 'zod'
import type { FieldProblem } from './problem.ts'
import { HttpProblem } from './problem.ts'

/** Parses one part of a request; all that is wrong is told at once, unknown fields one by one. */
export function parsePart<Schema extends z.ZodType>(
  part: 'path' | 'query' | 'body',
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const problems = result.error.issues.flatMap((issue) => problemsOf(part, issue))
  const detail = problems.map((problem) => `${problem.path}: ${problem.message}`).join('; ')
  throw new HttpProblem('invalid-request', detail.slice(0, 2000), { problems })
}

function problemsOf(part: string, issue: z.core.$ZodIssue): readonly FieldProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: pathText(part, [...issue.path, key]),
      message: `unknown field "${key}"`,
    }))
  }
  return [{ path: pathText(part, issue.path), message: issue.message }]
}

const pathText = (part: string, path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    part,
  )
