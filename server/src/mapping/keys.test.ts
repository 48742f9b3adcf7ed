import { definitionSchema } from '@switchback/migrations-registry'
import { type TestDatabase, testDatabase, waitFor } from '@switchback/test/support'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { Execution, WorkOrder } from '../execution/execution-port.ts'

const WRITERS = 3
const ROWS = 400
const SEPARATOR = '\u001f'

let database: TestDatabase
let execution: Execution

beforeEach(async () => {
  database = await testDatabase()
  // The role of the test server is named like our schema, which "$user" would find first.
  database.pool.options.onConnect = (client) =>
    client.query('set search_path to public').then(() => undefined)
  execution = createExecution({
    url: database.url,
    log: { warn: () => undefined },
    archiveDir: '/nonexistent',
    clock: Date.now,
  })
  await execution.prepare('keys')
})
afterEach(async () => {
  await execution.end()
  await database.drop()
})

/** Columns of a key, and the SQL of its parts for row number `$1::int`. */
interface KeyKind {
  readonly columns: readonly { readonly name: string; readonly old: string; readonly new: string }[]
  readonly parts: readonly string[]
}

const KINDS: Readonly<Record<string, KeyKind>> = {
  'integer, wider in new': {
    columns: [{ name: 'id', old: 'int', new: 'bigint' }],
    parts: ['$1::int - 200'],
  },
  uuid: { columns: [{ name: 'id', old: 'uuid', new: 'uuid' }], parts: ['md5($1::int::text)::uuid'] },
  'text of a collation': {
    columns: [{ name: 'id', old: 'text collate "en-x-icu"', new: 'text collate "C"' }],
    parts: [`(array['a', 'B', 'é', 'Z z', '", {'])[$1::int % 5 + 1] || $1::int`],
  },
  timestamp: {
    columns: [{ name: 'id', old: 'timestamptz', new: 'timestamptz' }],
    parts: [`timestamptz '2026-01-01' + $1::int * interval '1 second 7 microseconds'`],
  },
  composite: {
    columns: [
      { name: 'org', old: 'text', new: 'text' },
      { name: 'nr', old: 'int', new: 'bigint' },
    ],
    parts: [`'org ' || $1::int % 7`, '$1::int'],
  },
}

test.each(Object.entries(KINDS))(
  'a key of kind %s is copied while guarded writers change, remove and add rows',
  async (_name, { columns, parts }) => {
    const names = columns.map(({ name }) => name).join(', ')
    const table = (side: 'old' | 'new') =>
      `create table ${side}_t (${columns.map((column) => `${column.name} ${column[side]}`).join(', ')},
         v text, primary key (${names}))`
    await database.pool.query(table('old'))
    await database.pool.query(table('new'))
    const numbered = parts.map((part) => part.replaceAll('$1', 'i')).join(', ')
    await database.pool.query(
      `insert into old_t select ${numbered}, 'first ' || i from generate_series(1, ${ROWS}) i`,
    )
    const definition = definitionSchema.parse({
      id: 'keys',
      title: 'x',
      copy: {
        from: 'old_t',
        to: 'new_t',
        key: Object.fromEntries(columns.map(({ name }) => [name, name])),
        columns: { v: 'v' },
        chunk: { min: 5, max: 5 },
      },
    })
    let copied = false
    let writing = 0
    const writers = Array.from({ length: WRITERS }, async (_, w) => {
      const client = new pg.Client({ connectionString: database.url })
      await client.connect()
      await client.query('set search_path to public')
      for (let n = w; !copied || n < 200; n += 1) {
        if (n === w + 3) writing += 1
        await dual(client, parts, names, 1 + ((n * 37) % (ROWS + 50)), n)
      }
      await client.end()
    })
    await waitFor(() => writing === WRITERS)
    const { detail } = await execution.run('backfill', order(definition, 7))
    copied = true
    await Promise.all(writers)
    expect(detail).toMatchObject({ failedRows: 0 })
    const texts = (alias: string) =>
      columns.map(({ name }) => `${alias}.${name}::text collate "C"`).join(', ')
    const { rows } = await database.pool.query(
      `select o as old, n as new from old_t o full join new_t n on (${texts('o')}) = (${texts('n')})
       where o.v is distinct from n.v or (o is null) <> (n is null)`,
    )
    expect(rows).toEqual([])
    expect(await execution.run('verify', order(definition, 7))).toMatchObject({
      divergences: 0,
      detail: { repaired: 0 },
    })
  },
)

/** One guarded dual write, as the SDK sends it; of new only what has changed, as applications do. */
async function dual(
  client: pg.Client,
  parts: readonly string[],
  names: string,
  nr: number,
  n: number,
): Promise<void> {
  const { rows } = await client.query<{ key: string }>(
    `select concat_ws('${SEPARATOR}', ${parts.map((part) => `(${part})::text`).join(', ')}) as key`,
    [nr],
  )
  const same = `(${names}) = (${parts.join(', ')})`
  await client.query('begin')
  await client.query(`select switchback."enter:keys"(1, $1)`, [rows[0]?.key])
  for (const side of ['old', 'new']) {
    if (n % 5 === 0) {
      await client.query(`delete from ${side}_t where ${same}`, [nr])
    } else if (n % 5 === 1) {
      await client.query(
        `insert into ${side}_t values (${parts.join(', ')}, 'v' || $2::int)
         on conflict (${names}) do update set v = excluded.v`,
        [nr, n],
      )
    } else {
      await client.query(`update ${side}_t set v = 'v' || $2::int where ${same}`, [nr, n])
    }
  }
  await client.query('commit')
}

const order = (definition: WorkOrder['definition'], epoch: number): WorkOrder => ({
  definition,
  sql: { expand: '' },
  epoch,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
})
