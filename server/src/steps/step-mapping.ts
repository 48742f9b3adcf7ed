import type { MigrationDefinition } from '@switchback/migrations-registry'
import { copyOf, type Mapping, typeOf } from '../mapping/mapping.ts'
import { type Column, columnsOf, type TableColumns } from '../mapping/table-columns.ts'
import type { Sql } from '../target/target.ts'

/**
 * The mapping of a migration whose new is written by a step. Its `to` is no table: it has the columns that the
 * definition names, of the types that their expressions over old have.
 *
 * @throws ExecutionError that says what the mapping and the database disagree about
 */
export async function describeStepMapping(on: Sql, definition: MigrationDefinition): Promise<Mapping> {
  const copy = copyOf(definition)
  const from = await columnsOf(on, copy.from)
  const described = async ([name, expression]: [string, string]) => ({
    column: columnOf(name, await typeOf(on, from, expression)),
    expression,
  })
  const keys = await Promise.all(Object.entries(copy.key).map(described))
  const columns = await Promise.all(Object.entries(copy.columns).map(described))
  const types = keys.map(({ column }) => column.base)
  const to: TableColumns = {
    table: '',
    name: copy.to,
    columns: new Map([...keys, ...columns].map(({ column }) => [column.name, column])),
  }
  return {
    migration: definition.id,
    ...{ copy, from, to, columns },
    keyColumns: keys.map(({ column }) => column),
    old: {
      table: from.table,
      keys: keys.map(({ expression }) => `(${expression})`),
      types,
      ...(copy.where === undefined ? {} : { where: copy.where }),
    },
    new: { table: '', keys: Object.keys(copy.key), types },
  }
}

const columnOf = (name: string, { type, base }: { type: string; base: string }): Column => ({
  name,
  ...{ type, base: base === 'bpchar' ? base : type, notNull: false, generated: false, identity: false },
  ...{ default: null, asText: false },
})
