import type { Finding } from './finding.ts'

/** Marks parts of a report; colours for a terminal, nothing otherwise. */
export interface Marks {
  readonly error: (text: string) => string
  readonly warning: (text: string) => string
  readonly strong: (text: string) => string
  readonly weak: (text: string) => string
}

/** Lines of a file, or undefined where they are not at hand. */
export type LineOf = (file: string, line: number) => string | undefined

/** One finding as a person reads it: place, message, code frame, lock, safe way, page. */
export function textOf(finding: Finding, lineOf: LineOf, marks: Marks): string {
  const { rule, severity, file, line, column, message, lock, fix, docs } = finding
  const place = marks.strong(`${visible(file)}:${line}:${column}`)
  const lines = [`${place} ${marks[severity](severity)} ${marks.strong(rule)}`, `  ${visible(message)}`, '']
  lines.push(...frame(finding, lineOf).map((text) => `  ${text}`))
  if (lock !== null) lines.push(`  lock  ${lock.mode} on ${visible(lock.on)}: blocks ${lock.blocks}`)
  if (fix !== null) lines.push('  safe', ...fix.split('\n').map((text) => `    ${visible(text)}`))
  lines.push(marks.weak(`  see   ${docs}`), '')
  return lines.join('\n')
}

/** The line at fault between its neighbours, with the part at fault underlined. */
export function frame(finding: Finding, lineOf: LineOf): readonly string[] {
  const { file, line, column, endLine, endColumn } = finding
  const width = String(line + 1).length
  const shown: string[] = []
  for (const number of [line - 1, line, line + 1]) {
    const text = number < 1 ? undefined : lineOf(file, number)
    if (text === undefined) continue
    const mark = number === line ? '>' : ' '
    shown.push(`${mark} ${String(number).padStart(width)} | ${visible(text)}`.trimEnd())
    if (number !== line) continue
    const letters = [...text]
    const end = endLine === line ? endColumn : letters.length + 1
    const indent = letters.slice(0, column - 1).map((letter) => (letter === '\t' ? '  ' : blank(letter)))
    const marked = letters.slice(column - 1, end - 1).map((letter) => (isWide(letter) ? '^^' : '^'))
    shown.push(`  ${' '.repeat(width)} | ${indent.join('')}${marked.join('') || '^'}`)
  }
  return shown
}

// A control character in a file must not steer the terminal that it is shown on.
const visible = (text: string): string => text.replaceAll('\t', '  ').replaceAll(/\p{Cc}/gu, '\u{fffd}')

/** East Asian letters and pictures take two columns of a terminal. */
const isWide = (letter: string): boolean =>
  /[\u{1100}-\u{115f}\u{2e80}-\u{a4cf}\u{ac00}-\u{d7a3}\u{f900}-\u{faff}\u{ff00}-\u{ff60}\u{1f300}-\u{1faff}]/u.test(
    letter,
  )

const blank = (letter: string): string => (isWide(letter) ? '  ' : ' ')
