import { targetVariable } from '../config/target-variable.ts'
import { DEFAULT_VERSION, lintSql } from '../lint/lint.ts'
import { loadParser } from '../lint/script.ts'
import { identifier, type MappedColumn, tableName } from './mapped-columns.ts'
import type { CatalogMapping } from './read-columns.ts'

export interface NewMigration {
  readonly id: string
  readonly title: string
  /** Name of the database, as definitions use it. */
  readonly target: string
  readonly apps: readonly string[]
  readonly copy: NewCopy | undefined
}

export interface NewCopy {
  readonly from: string
  readonly to: string
  readonly key: readonly MappedColumn[]
  readonly columns: readonly MappedColumn[]
  /** Where the catalog was asked. */
  readonly catalog: CatalogMapping | undefined
}

/** Texts of the files of a migration folder, by name. */
export type MigrationFiles = Readonly<Record<string, string>>

/** Writes the files of a migration. They are valid and lint clean; what a person has to decide is in comments. */
export async function composeMigration(wanted: NewMigration): Promise<MigrationFiles> {
  await loadParser()
  const { copy } = wanted
  const yaml = yamlOf(wanted)
  if (copy === undefined) {
    return {
      'migration.yaml': yaml,
      'expand.sql': '-- What brings the new schema. It must not break what runs: switchback lint says how.\n',
      'rollback.sql': '-- What takes it back; switchback plan shows when it is run.\n',
    }
  }
  return {
    'migration.yaml': yaml,
    'expand.sql': copy.catalog === undefined ? expandLike(copy) : await expandBy(copy, copy.catalog),
    'rollback.sql': `drop table ${tableName(copy.to)};\n`,
    'contract.sql': contractOf(copy),
  }
}

/** Where the types are not known: as the expressions give them. */
function expandLike({ from, to, key, columns }: NewCopy): string {
  const list = [...key, ...columns].map(({ column, expression }) =>
    expression === identifier(column) ? expression : `${expression} as ${identifier(column)}`,
  )
  return [
    `-- Types are those of ${from}; neither defaults nor "not null" come with them.`,
    `create table ${tableName(to)} as`,
    `  select ${list.join(', ')} from ${tableName(from)} with no data;`,
    `alter table ${tableName(to)} add primary key (${key.map(({ column }) => identifier(column)).join(', ')});`,
    '',
  ].join('\n')
}

async function expandBy({ from, to }: NewCopy, { key, columns }: CatalogMapping): Promise<string> {
  const lines = [
    ...key.map(
      ({ column, type }) => `  ${identifier(column)} ${type}${key.length === 1 ? ' primary key' : ''}`,
    ),
    ...columns.map(({ column, type, notNull, default: standard }) =>
      [
        `  ${identifier(column)} ${type}`,
        ...(notNull ? ['not null'] : []),
        ...(standard === undefined ? [] : [`default ${standard}`]),
      ].join(' '),
    ),
    ...(key.length === 1
      ? []
      : [`  primary key (${key.map(({ column }) => identifier(column)).join(', ')})`]),
  ]
  const statement = `create table ${tableName(to)} (\n${lines.join(',\n')}\n);\n`
  // What the types of old are is decided; a better one is a matter of its own.
  const { findings } = await lintSql('expand.sql', statement, DEFAULT_VERSION)
  const rules = [...new Set(findings.map(({ rule }) => rule))]
  return [...rules.map((rule) => `-- switchback:allow ${rule} because it is so in ${from}`), statement].join(
    '\n',
  )
}

function contractOf({ from, columns, catalog }: NewCopy): string {
  if (catalog?.whole === true) return `drop table ${tableName(from)};\n`
  const gone = [...new Set(columns.flatMap(({ plain }) => (plain === undefined ? [] : [plain])))]
  if (gone.length === 0) {
    return `-- What nobody uses any more once only new is read and written. Nothing, as long as ${from} is needed.\n`
  }
  const drops = gone.map((name) => `  drop column ${identifier(name)}`)
  return `alter table ${tableName(from)}\n${drops.join(',\n')};\n`
}

/** A text as YAML reads it back: in quotes where it would mean something else without. */
const scalar = (text: string): string =>
  /^[A-Za-z][\w-]*( [A-Za-z][\w-]*)*$/.test(text) && !/^(y|n|yes|no|on|off|true|false|null)$/i.test(text)
    ? text
    : JSON.stringify(text)

function yamlOf({ id, title, target, apps, copy }: NewMigration): string {
  const lines = [
    `id: ${id}`,
    `title: ${scalar(title)}`,
    `target: ${target} # connection from ${targetVariable(target)}`,
    `apps: [${apps.map(scalar).join(', ')}] # every instance of these must have handlers`,
  ]
  if (copy === undefined) return `${lines.join('\n')}\n`
  const entries = (columns: readonly MappedColumn[]): readonly string[] =>
    columns.map(({ column, expression }) => `    ${scalar(column)}: ${scalar(expression)}`)
  return [
    ...lines,
    'copy: # one mapping serves backfill, verification, repair and the way back',
    `  from: ${scalar(copy.from)}`,
    `  to: ${scalar(copy.to)}`,
    '  key:',
    ...entries(copy.key),
    '  columns:',
    ...entries(copy.columns),
    'rollout:',
    '  - { canary: 1, soak: 10m } # one instance',
    '  - { share: 10%, soak: 30m } # sticky by key',
    '  - { share: 50%, soak: 1h }',
    '  - { share: 100%, soak: 1d }',
    'retire: { after: 7d } # new leads, old is kept current: the way back is instant',
    'contract: { after: 14d, approvals: 1, archive: { keep: 90d } }',
    '',
  ].join('\n')
}
