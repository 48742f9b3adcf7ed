import { configSchema } from './config-schema.ts'

/** `docs/configuration.md`, made from the schema so that the two cannot disagree. */
export function renderConfigTable(): string {
  const rows = Object.entries(configSchema.shape).map(([name, schema]) => {
    const standard = schema.safeParse(undefined)
    const value = standard.success && standard.data !== undefined ? `\`${standard.data}\`` : '–'
    return `| \`${name}\` | ${value} | ${schema.description ?? ''} |`
  })
  return [
    '# Configuration',
    '',
    'The server reads its settings from environment variables once, at start, and reports all that is wrong',
    'with them together.',
    '',
    '| variable | default | meaning |',
    '| --- | --- | --- |',
    ...rows,
    '| `TARGET_<NAME>_URL` | – | PostgreSQL that migrations with `target: <name>` or `copy.toTarget: <name>` change; `TARGET_MAIN_URL` is that of `main`. Underscores stand for dashes. |',
    '| `TARGET_<NAME>_WINDOWS` | – | When work that holds up traffic may begin: `Sun 02:00-05:00 Asia/Dhaka; Wed 03:00-04:00 Asia/Dhaka`. Without it, at any time. |',
    '| `TARGET_<NAME>_FREEZES` | – | When it may not: `2026-12-20..2027-01-03 Asia/Dhaka`, several with semicolons between. |',
    '| `TARGET_<NAME>_LOAD` | – | Above what it may not: `connections=80, transactionAge=5m, tps=500`; each may be left out. |',
    '',
  ].join('\n')
}
