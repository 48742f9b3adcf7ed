import type { Finding } from './finding.ts'

const data = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')

/** A workflow command of GitHub Actions, which shows the finding beside the line in the pull request. */
export function githubAnnotation(finding: Finding): string {
  const { rule, severity, file, line, column, endLine, endColumn, message, lock, fix, docs } = finding
  const text = [
    message,
    ...(lock === null ? [] : [`Lock: ${lock.mode} on ${lock.on}, blocks ${lock.blocks}.`]),
    ...(fix === null ? [] : ['Safe:', fix]),
    `See ${docs}`,
  ].join('\n')
  // GitHub takes columns only where a finding begins and ends on one line.
  const columns = endLine === line ? `,col=${column},endColumn=${endColumn}` : ''
  return `::${severity} file=${property(file)},line=${line},endLine=${endLine}${columns},title=${property(rule)}::${data(text)}`
}
