import type { Rule } from './rule.ts'

const sql = (text: string): readonly string[] => ['```sql', text, '```', '']

/** The page of a rule; `docs/rules/` holds what this makes. */
export function rulePage({ id, severity, title, why, instead, bad, good, peers }: Rule): string {
  return [
    `# ${id}`,
    '',
    `${title} (${severity})`,
    '',
    why,
    '',
    ...(bad === undefined ? [] : ['Found:', '', ...sql(bad)]),
    `**Instead.** ${instead}`,
    '',
    ...(good === undefined ? [] : sql(good)),
    'Where it is meant, say why on the line before the statement:',
    '',
    ...sql(`-- switchback:allow ${id} because <reason>`),
    ...(peers.length === 0 ? ['No other linter has this rule.'] : [`Elsewhere: ${peers.join('; ')}.`]),
    '',
  ].join('\n')
}

/** Rules of squawk that have no counterpart here, or a narrower one. */
export const NOT_OURS: readonly { readonly rule: string; readonly why: string }[] = [
  {
    rule: 'require-lock-timeout, require-statement-timeout',
    why: 'The executor sets both for every statement; in a file they would be one more thing to forget.',
  },
  {
    rule: 'prefer-robust-stmts',
    why: 'The executor records every statement in the transaction that runs it, and resumes after the last one recorded; IF NOT EXISTS would hide that something else is there under the name.',
  },
  {
    rule: 'prefer-bigint-over-int, prefer-bigint-over-smallint',
    why: '`small-key` finds keys and numbered columns, which run out. A count or a year in an int does not.',
  },
  {
    rule: 'ban-alter-domain-with-add-constraint',
    why: '`domain-constraint` lets pass what is added NOT VALID: that reads no table, and neither does its validation block writes.',
  },
  {
    rule: 'adding-foreign-key-constraint on a new column without default',
    why: 'Its rows all hold null, which refers to nothing: PostgreSQL skips the check itself.',
  },
  {
    rule: 'transaction-nesting',
    why: '`transaction-control` finds every BEGIN and COMMIT, nested or not.',
  },
  {
    rule: 'require-table-schema, require-enum-value-ordering (off unless asked for)',
    why: 'Matters of style, not of safety.',
  },
]

export function rulesIndex(rules: readonly Rule[]): string {
  return [
    '# Rules of `switchback lint`',
    '',
    'Made from the rules themselves. A loose `.sql` file is judged as an expand; a folder with `migration.yaml`',
    'by its parts and its definition. `--pg-version` says for which PostgreSQL (14 where it is not given).',
    '',
    '| rule | severity | finds | elsewhere |',
    '| --- | --- | --- | --- |',
    ...rules.map(
      ({ id, severity, title, peers }) =>
        `| [${id}](${id}.md) | ${severity} | ${title} | ${peers.length === 0 ? '–' : peers.join('; ')} |`,
    ),
    '',
    '## What others find and this does not',
    '',
    '| rule of squawk | why not |',
    '| --- | --- |',
    ...NOT_OURS.map(({ rule, why }) => `| ${rule} | ${why} |`),
    '',
  ].join('\n')
}
