import type { ScanToken } from 'libpg-query'
import { ruleOf } from './rules/rules.ts'
import type { Script } from './script.ts'

export interface Waiver {
  readonly rule: string
  readonly reason: string
  readonly comment: ScanToken
  /** Index of the statement it is about, or why it is about none. */
  readonly statement: number | undefined
  readonly problem: string | undefined
}

const FORM = /^--\s*switchback:allow\b\s*(\S*)\s*(?:because\b\s*(.*))?$/s

/** Waivers of a file. Each stands on a line of its own before its statement. */
export function waiversOf({ comments, statements, source }: Script): readonly Waiver[] {
  return comments.flatMap((comment) => {
    const match = FORM.exec(comment.text.trimEnd())
    if (match === null) return []
    const rule = match[1] ?? ''
    const next = statements.find(({ end }) => end > comment.start)
    const last = statements.findLast(({ end }) => end <= comment.start)
    const line = source.position(comment.start).line
    const behind = last !== undefined && source.position(last.end).line === line
    const inside = next !== undefined && next.start < comment.start
    const problem =
      ruleOf(rule) === undefined
        ? `there is no rule "${rule}"`
        : behind || inside
          ? 'it has to stand on a line before its statement'
          : next === undefined
            ? 'no statement follows'
            : undefined
    const reason = (match[2] ?? '').trim()
    return [{ rule, reason, comment, statement: problem === undefined ? next?.index : undefined, problem }]
  })
}
