import type { MigrationDefinition, Path } from '@switchback/migrations-registry'
import { among, differencesOf, keyParams } from '../comparing/compare.ts'
import { quoteIdent } from '../db/db.ts'
import { KEY_SEPARATOR, type Key, type Side } from '../mapping/keyset.ts'
import { describeMapping } from '../mapping/mapping.ts'
import { type Connection, inTransaction, type Sql, type Target } from '../target/target.ts'
import { describeFarMapping, farPair } from '../two-targets/pair.ts'

export interface BothColumn {
  /** In new. */
  readonly name: string
  /** As text, shortened; undefined: null, or no such row. */
  readonly old?: string
  readonly new?: string
  readonly differs: boolean
}

/** One key as old has it (as new should have it) beside what new has. */
export interface BothRows {
  readonly key: string
  readonly present: Readonly<Record<Path, boolean>>
  readonly columns: readonly BothColumn[]
}

const SHOWN = 2_000
const TIMEOUT_MS = 5_000

/** A key of another shape than the migration's keys. */
export class UnfitKey extends Error {
  override readonly name = 'UnfitKey'
}

/** Reads a key on both paths; in one snapshot where they are in one database. */
export async function bothRows(
  targets: Readonly<Record<Path, Target>>,
  definition: MigrationDefinition,
  text: string,
): Promise<BothRows> {
  return targets.old === targets.new
    ? await readOnly(targets.old, (on) => inOne(on, definition, text))
    : await readOnly(targets.old, (old) =>
        readOnly(targets.new, (fresh) => inTwo({ old, new: fresh }, definition, text)),
      )
}

const readOnly = <T>(target: Target, work: (on: Connection) => Promise<T>): Promise<T> =>
  target.connection((connection) =>
    inTransaction(connection, 'begin isolation level repeatable read read only', async () => {
      await connection.query(`set local statement_timeout = ${TIMEOUT_MS}`)
      return await work(connection)
    }),
  )

async function inOne(on: Connection, definition: MigrationDefinition, text: string): Promise<BothRows> {
  const mapping = await describeMapping(on, definition)
  const key = keyOf(text, mapping.old)
  const names = mapping.columns.map(({ column }) => column.name)
  const old = await valuesOf(
    on,
    mapping.old,
    mapping.columns.map(({ column, expression }) => `((${expression})::${column.type})::text`),
    key,
  )
  const fresh = await valuesOf(
    on,
    mapping.new,
    names.map((name) => `${quoteIdent(name)}::text`),
    key,
  )
  // With the tolerances of the definition: what verification does not count is not marked here either.
  const [difference] = await differencesOf(on, { mapping, leader: 'old' }, [key])
  const differing = new Set(difference?.columns ?? [])
  return rowsOf(text, names, old, fresh, (name) => differing.has(name))
}

async function inTwo(
  on: Readonly<Record<Path, Sql>>,
  definition: MigrationDefinition,
  text: string,
): Promise<BothRows> {
  const pair = await farPair(on, await describeFarMapping(on, definition), 'old')
  const key = keyOf(text, pair.old)
  const names = pair.mapping.columns.map(({ column }) => column.name)
  const old = await valuesOf(on.old, pair.old, pair.old.values, key)
  const fresh = await valuesOf(on.new, pair.new, pair.new.values, key)
  return rowsOf(text, names, old, fresh, (_name, i) => old?.[i] !== fresh?.[i])
}

function keyOf(text: string, { keys }: Side): Key {
  const parts = keys.length === 1 ? [text] : text.split(KEY_SEPARATOR)
  if (parts.length === keys.length) return parts
  throw new UnfitKey(`The key has ${parts.length} parts, keys here have ${keys.length}.`)
}

type Values = readonly (string | null)[] | undefined

async function valuesOf(on: Sql, side: Side, values: readonly string[], key: Key): Promise<Values> {
  const list = values.map((value) => `left(${value}, ${SHOWN})`).join(', ')
  const { rows } = await on.query<{ values: (string | null)[] }>(
    `select array[${list}]::text[] as values from ${side.table}
     where ${among(side, 1)} and ${side.where === undefined ? 'true' : `(${side.where})`}`,
    keyParams([key], side.keys.length),
  )
  return rows[0]?.values
}

function rowsOf(
  key: string,
  names: readonly string[],
  old: Values,
  fresh: Values,
  differs: (name: string, index: number) => boolean,
): BothRows {
  const present = { old: old !== undefined, new: fresh !== undefined }
  return {
    key,
    present,
    columns: names.map((name, i) => ({
      name,
      ...(old?.[i] == null ? {} : { old: old[i] }),
      ...(fresh?.[i] == null ? {} : { new: fresh[i] }),
      differs: present.old !== present.new || (present.old && differs(name, i)),
    })),
  }
}
