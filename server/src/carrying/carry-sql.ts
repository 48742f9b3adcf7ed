import type { Path } from '@switchback/migrations-registry'
import { backColumns, emptyOld, insertOld, updateOld } from '../comparing/copy-back.ts'
import { newKey, oldValues } from '../copying/copy-chunk.ts'
import { quoteIdent } from '../db/db.ts'
import { within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { ReverseMapping } from '../mapping/reverse-mapping.ts'
import { type Column, differs, type TableColumns } from '../mapping/table-columns.ts'
import { columnsIn } from '../sql-text/sql-expression.ts'

/** What triggers are made from: the mapping, and its inversion. */
export interface CarryPlan {
  readonly mapping: Mapping
  readonly reverse: ReverseMapping
  /** Schemas that the functions see, as the session that installs them. */
  readonly schemas: readonly string[]
}

export interface CarryTrigger {
  readonly name: string
  /** Quoted. */
  readonly table: string
  readonly sql: string
}

export interface CarrySql {
  readonly functions: readonly string[]
  /** Old before new. */
  readonly triggers: readonly CarryTrigger[]
}

/** Names of the functions of a migration; their triggers are found by them. */
export const carryFunctions = (migration: string): readonly string[] => [
  `carry_to_new:${migration}`,
  `carry_to_old:${migration}`,
  `carry_truncate:${migration}`,
]

const flag = (migration: string): string => `switchback.carrying_${migration.replaceAll('-', '_')}`

/** A write that a trigger or the engine makes to bring one table up to the other is not carried back. */
const guard = (migration: string): string =>
  `current_setting('switchback.engine', true) is distinct from 'on'
   and current_setting('${flag(migration)}', true) is distinct from 'on'`

/** The triggers that keep both tables alike whoever writes either, generated from the mapping. */
export async function carrySql(plan: CarryPlan): Promise<CarrySql> {
  const { mapping, reverse } = plan
  const { migration, from, to, copy } = mapping
  const read = await namedIn(from, [
    ...Object.values(copy.key),
    ...Object.values(copy.columns),
    ...(copy.where === undefined ? [] : [copy.where]),
  ])
  const readBack = await namedIn(to, [
    ...mapping.keyColumns.map(({ name }) => quoteIdent(name)),
    ...backColumns(reverse).map(({ expression }) => expression),
  ])
  const [toNew = '', toOld = '', truncate = ''] = carryFunctions(migration)
  return {
    functions: [
      carryFunction(
        plan,
        toNew,
        'new',
        keysOf(from, await namedIn(from, Object.values(copy.key)), mapping.old.keys),
        forward(plan),
      ),
      carryFunction(plan, toOld, 'old', keysOf(to, mapping.keyColumns, mapping.new.keys), back(plan)),
      refuseTruncate(plan, truncate),
    ],
    triggers: [
      ...triggersOn(migration, from, toNew, truncate, read),
      ...triggersOn(migration, to, toOld, truncate, readBack),
    ],
  }
}

/** Columns of the table that expressions name; all of them where one names something else, the row itself, say. */
async function namedIn(table: TableColumns, expressions: readonly string[]): Promise<readonly Column[]> {
  const names = new Set((await Promise.all(expressions.map(columnsIn))).flatMap(({ columns }) => columns))
  const all = [...table.columns.values()]
  return [...names].every((name) => table.columns.has(name)) ? all.filter(({ name }) => names.has(name)) : all
}

/** Query of the keys that a write concerns: of the row as it is, and as it was. */
function keysOf(table: TableColumns, columns: readonly Column[], keys: readonly string[]): string {
  const alias = quoteIdent(table.name.split('.').at(-1) ?? table.name)
  const of = (row: 'new' | 'old', unless: string) =>
    `select ${keys.map((key, i) => `${key} as k${i}`).join(', ')}
       from (select ${columns.map(({ name }) => `${row}.${quoteIdent(name)} as ${quoteIdent(name)}`).join(', ')}) as ${alias}
       where tg_op <> '${unless}'`
  return `${of('new', 'DELETE')} union ${of('old', 'INSERT')}`
}

const KEY = 'switchback_key'
const keyIs = (keys: readonly string[]): string => keys.map((key, i) => `${key} = ${KEY}.k${i}`).join(' and ')

/**
 * From old to new. The row is read again by its key: an application's own trigger may have changed it since.
 * New gets a version even where nothing differs: a sweep with an older snapshot must fail at it.
 */
function forward({ mapping }: CarryPlan): string {
  const keys = mapping.keyColumns.map(({ name }) => quoteIdent(name))
  const columns = mapping.columns.map(({ column }) => quoteIdent(column.name))
  const source = `select ${oldValues(mapping)} from ${mapping.old.table} where ${keyIs(mapping.old.keys)} and ${within(mapping.old, {})}`
  return `insert into ${mapping.to.table} as switchback_new (${[...keys, ...columns].join(', ')})
        overriding system value
        select ${[...keys.map((_, i) => `k${i}`), ...columns.map((_, i) => `c${i}`)].join(', ')} from (${source}) source
        on conflict (${keys.join(', ')}) do update set ${columns.map((name) => `${name} = excluded.${name}`).join(', ')};
      if not found then
        delete from ${mapping.to.table} as switchback_new where ${keyIs(keys.map((_, i) => newKey(mapping, i)))};
      end if;`
}

/** From new to old; what old cannot say by itself (a wider row) is left as it is. */
function back({ mapping, reverse }: CarryPlan): string {
  const side = mapping.new
  const source = `select ${[
    ...side.keys.map((key, i) => `${key} as switchback_k${i}`),
    ...backColumns(reverse).map(
      ({ expression, column }, i) => `(${expression})::${column.type} as switchback_c${i}`,
    ),
  ].join(', ')} from ${side.table} where ${keyIs(side.keys)}`
  const changed = reverse.columns
    .map(({ column }) => quoteIdent(column.name))
    .map((name) => `${name} = excluded.${name}`)
  // A row that the snapshot does not show is met here, and at a stricter level refused to be tried again.
  const onConflict = `on conflict (${reverse.keyColumns.map(({ column }) => quoteIdent(column.name)).join(', ')})
          do ${changed.length === 0 ? 'nothing' : `update set ${changed.join(', ')}`}`
  const insert = insertOld(mapping, reverse, source)
  const writes = [
    updateOld(mapping, reverse, source),
    insert === undefined ? undefined : `${insert} ${onConflict}`,
  ]
    .filter((text) => text !== undefined)
    .map((text) => `${text};`)
  const gone = `${keyIs(mapping.old.keys)} and ${within(mapping.old, {})}`
  const missing = reverse.uncovered.map((name) => name.replaceAll("'", "''")).join(', ')
  const impossible = `if not exists (select from ${mapping.old.table} where ${keyIs(mapping.old.keys)}) then
          raise exception 'a row of ${mapping.from.name} cannot be made without ${missing}';
        end if;`
  return `if exists (select from ${side.table} where ${keyIs(side.keys)}) then
        ${writes.join('\n        ')}
        ${reverse.uncovered.length > 0 ? impossible : ''}
      else
        ${emptyOld(mapping, reverse, gone) ?? 'null'};
      end if;`
}

function carryFunction(
  { mapping, schemas }: CarryPlan,
  name: string,
  to: Path,
  keys: string,
  body: string,
): string {
  const { migration, keyColumns } = mapping
  const first = to === 'new' ? 'old' : 'new'
  const written = mapping[first]
  const text = `array_to_string(array[${keyColumns.map((_, i) => `${KEY}.k${i}::text`).join(', ')}], chr(31))`
  return `create or replace function switchback.${quoteIdent(name)}() returns trigger
language plpgsql volatile security definer
set search_path = ${[...schemas.map(quoteIdent), 'pg_temp'].join(', ')}
set ${flag(migration)} = 'on' as $switchback$
#variable_conflict use_column
declare
  ${KEY} record;
begin
  for ${KEY} in ${keys} loop
    -- What waits for repair here is behind: carried on, it would overwrite what was acknowledged there.
    if exists (select from switchback.repairs where migration = '${migration}' and path = '${first}' and key = ${text}) then
      raise exception using
        errcode = '40001',
        message = format('key %s of ${migration} waits for repair of ${first}', ${text}),
        hint = 'Try again: it is repaired within seconds.';
    end if;
    -- A snapshot may show the row that somebody has replaced beside one's own: which of the two counts?
    if current_setting('transaction_isolation') <> 'read committed' then
      if (select count(*) from ${written.table} where ${keyIs(written.keys)}) > 1 then
        raise exception using errcode = '40001', message = 'could not serialize access due to concurrent update';
      end if;
    end if;
    begin
      ${body}
    exception
      when transaction_rollback or lock_not_available then
        raise;
      when others then
        -- Whoever writes here is not to fail because of the other table: its row is repaired as soon as it can be.
        perform switchback.queue_repair('${migration}', ${text}, '${to}',
          coalesce((select seen from switchback.fences where migration = '${migration}'), 0), sqlerrm);
    end;
  end loop;
  return null;
end
$switchback$`
}

const refuseTruncate = ({ mapping: { migration, from, to } }: CarryPlan, name: string): string =>
  `create or replace function switchback.${quoteIdent(name)}() returns trigger
language plpgsql as $switchback$
begin
  raise exception using
    errcode = 'SB003',
    message = format('%s cannot be truncated while ${migration} keeps ${from.name} and ${to.name} alike', tg_relid::regclass),
    hint = 'Use DELETE, which is carried over, or finish the migration first.';
end
$switchback$`

function triggersOn(
  migration: string,
  { table }: TableColumns,
  carry: string,
  truncate: string,
  read: readonly Column[],
): readonly CarryTrigger[] {
  const changed = read
    .map((column) => differs(column, `old.${quoteIdent(column.name)}`, `new.${quoteIdent(column.name)}`))
    .join(' or ')
  const one = (name: string, event: string, each: 'row' | 'statement', condition = ''): CarryTrigger => {
    const trigger = quoteIdent(`switchback:${migration}:${name}`)
    const runs = quoteIdent(each === 'row' ? carry : truncate)
    return {
      name: `switchback:${migration}:${name}`,
      table,
      // Always: what arrives by logical replication is carried too.
      sql: `create or replace trigger ${trigger} ${event} on ${table} for each ${each}
        when (${guard(migration)}${condition}) execute function switchback.${runs}();
        alter table ${table} enable always trigger ${trigger}`,
    }
  }
  return [
    one('i', 'after insert', 'row'),
    one('u', 'after update', 'row', ` and (${changed})`),
    one('d', 'after delete', 'row'),
    one('t', 'before truncate', 'statement'),
  ]
}
