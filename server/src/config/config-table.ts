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
    '',
  ].join('\n')
}
