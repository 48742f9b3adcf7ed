import type { Problem } from './client.ts'
import { blockersText } from './status-text.ts'
import { type Paint, plain } from './terminal.ts'

/** Problems of files in the form that editors and terminals make links of: `file:line:column: message`. */
export function problemLines(problems: NonNullable<Problem['problems']>): string {
  return problems
    .map(({ file, line, column, path, message }) => {
      const place = file === undefined ? '' : `${file}:${line ?? 1}:${column ?? 1}: `
      const where = path === undefined || path === '' ? '' : `${path}: `
      return plain(`${place}${where}${message}`)
    })
    .join('\n')
}

/** A refusal as a person reads it: what, why, and what to do. */
export function problemText(problem: Problem, paint: Paint): string {
  const { title, detail, action, blockers = [], problems = [], status } = problem
  const lines = [paint.red(plain(title))]
  if (problems.length > 0) lines.push(problemLines(problems))
  else if (blockers.length > 0) lines.push(blockersText(blockers, paint))
  else if (detail !== undefined && detail !== title) lines.push(plain(detail))
  if (action !== undefined) lines.push(`what to do: ${plain(action)}`)
  else if (status === 401) lines.push('what to do: set SWITCHBACK_TOKEN, or run in the folder of the server')
  return lines.join('\n')
}
