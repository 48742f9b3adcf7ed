import { isAbsolute, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { docsOf } from './finding.ts'
import type { LintResult } from './lint.ts'
import { RULES } from './rules/rules.ts'

/** A path as SARIF wants it: relative ones stay relative. */
const uriOf = (file: string): string =>
  isAbsolute(file) ? pathToFileURL(file).href : file.split(sep).map(encodeURIComponent).join('/')

/** SARIF 2.1.0, for code scanning. Columns count code points. */
export function sarifReport({ findings, unreadable }: LintResult, version: string): unknown {
  const place = (file: string, region: Readonly<Record<string, number>>) => [
    { physicalLocation: { artifactLocation: { uri: uriOf(file) }, region } },
  ]
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'switchback lint',
            version,
            rules: RULES.map(({ id, severity, title, why, instead }) => ({
              id,
              shortDescription: { text: title },
              fullDescription: { text: `${why} ${instead}` },
              help: { text: instead, markdown: `${why}\n\n${instead}\n\nSee ${docsOf(id)}.` },
              defaultConfiguration: { level: severity },
            })),
          },
        },
        columnKind: 'unicodeCodePoints',
        invocations: [
          {
            executionSuccessful: unreadable.length === 0,
            toolExecutionNotifications: unreadable.map(({ file, line, column, message }) => ({
              level: 'error',
              message: { text: message },
              locations: place(file, { startLine: line, startColumn: column }),
            })),
          },
        ],
        results: findings.map(
          ({ rule, severity, file, line, column, endLine, endColumn, message, lock, fix }) => ({
            ruleId: rule,
            ruleIndex: RULES.findIndex(({ id }) => id === rule),
            level: severity,
            message: { text: fix === null ? message : `${message}\n\nSafe:\n${fix}` },
            locations: place(file, { startLine: line, startColumn: column, endLine, endColumn }),
            properties: { lock, fix },
          }),
        ),
      },
    ],
  }
}
