import type pg from 'pg'
import { DbError } from '../database/db-error.ts'
import { type Table, table } from '../database/relation.ts'
import type { Session } from '../database/session.ts'
import {
  compareChunk,
  copyChunk,
  enter,
  fenceLock,
  fillChunk,
  minimumSequence,
  queueRepair,
  raise,
  repairOpen,
  type Side,
  sweepChunk,
} from '../database/target.ts'
import type { Isolation } from '../database/transaction.ts'

export const MIGRATION = 'm'
export const OLD = table<string>('old')
export const NEW = table<string>('new')

const TABLES: Readonly<Record<string, Table<string>>> = { old: OLD, new: NEW }
const ISOLATION: Readonly<Record<string, Isolation>> = {
  rc: 'read committed',
  rr: 'repeatable read',
  ser: 'serializable',
}

/** What the steps of one script hand on to each other. */
export interface Memory {
  xid: string
}

/** One thing that a session of a script can do, for the model and for PostgreSQL; both answer in the same words. */
interface Verb {
  model(session: Session, args: readonly string[], memory: Memory): Promise<string>
  sql(args: readonly string[], memory: Memory): string
  answer(result: pg.QueryResult, memory: Memory): string
}

const arg = (args: readonly string[], at: number): string => {
  const value = args[at]
  if (value === undefined) throw new Error(`an argument is missing: ${args.join(' ')}`)
  return value
}

const tableOf = (args: readonly string[]): Table<string> => {
  const found = TABLES[arg(args, 0)]
  if (found === undefined) throw new Error(`no table ${args[0]}`)
  return found
}

const isolationOf = (name: string): Isolation => {
  const found = ISOLATION[name]
  if (found === undefined) throw new Error(`no isolation level ${name}`)
  return found
}

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`
const first = (result: pg.QueryResult): unknown => Object.values(result.rows[0] ?? {})[0]
/** The answer of what has nothing to tell. */
const ok = (_nothing?: unknown): string => 'ok'
const yes = (value: unknown): string => (value === true ? 'yes' : 'no')
const shown = (value: unknown): string => (value === undefined || value === null ? 'none' : String(value))
const list = (rows: readonly (readonly [unknown, unknown])[]): string =>
  rows.map(([key, value]) => `${String(key)}=${shown(value)}`).join(' ') || 'nothing'

/** Verbs that answer with how many rows they changed. */
const changed = (result: pg.QueryResult): string => yes((result.rowCount ?? 0) > 0)

const simple = (name: 'savepoint' | 'release' | 'rollbackTo', sql: string): Verb => ({
  model: async (session, args) => ok(await session[name](arg(args, 0))),
  sql: (args) => `${sql} ${arg(args, 0)}`,
  answer: ok,
})

const advisory = (mode: 'shared' | 'exclusive', of?: 'session'): Verb => ({
  model: async (session, args) => ok(await session.lock(arg(args, 0), mode, of === undefined ? {} : { of })),
  sql: (args) =>
    `select pg_advisory_${of === 'session' ? '' : 'xact_'}lock${mode === 'shared' ? '_shared' : ''}(hashtext(${text(arg(args, 0))}))`,
  answer: ok,
})

const tryAdvisory = (mode: 'shared' | 'exclusive', of?: 'session'): Verb => ({
  model: async (session, args) =>
    yes(await session.tryLock(arg(args, 0), mode, of === undefined ? {} : { of })),
  sql: (args) =>
    `select pg_try_advisory_${of === 'session' ? '' : 'xact_'}lock${mode === 'shared' ? '_shared' : ''}(hashtext(${text(arg(args, 0))}))`,
  answer: (result) => yes(first(result)),
})

const unlock = (mode: 'shared' | 'exclusive'): Verb => ({
  model: async (session, args) => yes(await session.unlock(arg(args, 0), mode)),
  sql: (args) =>
    `select pg_advisory_unlock${mode === 'shared' ? '_shared' : ''}(hashtext(${text(arg(args, 0))}))`,
  answer: (result) => yes(first(result)),
})

const upsert = (ifDifferent: boolean): Verb => ({
  model: (session, args) =>
    session.upsert(
      tableOf(args),
      arg(args, 1),
      arg(args, 2),
      ifDifferent ? (existing, proposed) => existing !== proposed : undefined,
    ),
  // The new version of a row that was locked before it was updated carries the locker.
  sql: (args) =>
    `insert into ${tableOf(args).name} as t (id, v) values (${text(arg(args, 1))}, ${text(arg(args, 2))})
     on conflict (id) do update set v = excluded.v ${ifDifferent ? 'where t.v is distinct from excluded.v' : ''}
     returning xmax = 0 as inserted`,
  answer: (result) =>
    result.rows.length === 0 ? 'unchanged' : first(result) === true ? 'inserted' : 'updated',
})

const copy = (lockSource: boolean, overwrite: boolean): Verb => ({
  model: async (session) => {
    const copied = await session.statement(() => 'copy', copyChunk(OLD, NEW, {}, { lockSource, overwrite }))
    return `${copied.changed} changed`
  },
  sql: () =>
    `with source as materialized (select id, v from old order by id ${lockSource ? 'for no key update' : ''})
     insert into new as t (id, v) select id, v from source on conflict (id)
     ${overwrite ? 'do update set v = excluded.v where t.v is distinct from excluded.v' : 'do nothing'}`,
  answer: (result) => `${result.rowCount ?? 0} changed`,
})

const fill = (lockSource: boolean): Verb => ({
  model: async (session) => {
    const filled = await session.statement(() => 'fill', fillChunk(OLD, NEW, {}, { lockSource }))
    return `${filled?.changed ?? 0} changed`
  },
  sql: () =>
    `with empty as materialized (select where not exists (select from new))
     insert into new (id, v) select id, v from (
       select id, v from old where exists (select from empty)
       order by id ${lockSource ? 'for no key update of old' : ''}
     ) source`,
  answer: (result) => `${result.rowCount ?? 0} changed`,
})

const key = (args: readonly string[], at: number): string => {
  const given = args[at]
  return given === undefined ? 'null' : text(given)
}

const enterSql = (args: readonly string[], at: number): string =>
  `select switchback."enter:m"(${arg(args, at)}, ${key(args, at + 1)})`

const entering = (args: readonly string[], at: number) =>
  enter({ migration: MIGRATION, epoch: Number(arg(args, at)), key: args[at + 1] ?? null })

const side = (value: string): Side => (value === 'old' ? 'old' : 'new')

export const VERBS: Readonly<Record<string, Verb>> = {
  begin: {
    model: async (session, args) => ok(await session.begin(isolationOf(arg(args, 0)))),
    sql: (args) => `begin isolation level ${isolationOf(arg(args, 0))}`,
    answer: ok,
  },
  /** Begins and enters in one message, as the SDK does. */
  'begin-enter': {
    model: async (session, args) => {
      await session.begin(isolationOf(arg(args, 0)), { label: 'enter', body: entering(args, 1) })
      return 'ok'
    },
    sql: (args) => `begin isolation level ${isolationOf(arg(args, 0))}; ${enterSql(args, 1)}`,
    answer: ok,
  },
  enter: {
    model: async (session, args) => ok(await session.statement(() => 'enter', entering(args, 0))),
    sql: (args) => enterSql(args, 0),
    answer: ok,
  },
  raise: {
    model: async (session, args) =>
      shown(await session.statement(() => 'raise', raise(MIGRATION, Number(arg(args, 0))))),
    sql: (args) => `select switchback."raise:m"(${arg(args, 0)})`,
    answer: (result) => shown(first(result)),
  },
  minimum: {
    model: async (session) =>
      shown(
        await session.statement(
          () => 'minimum',
          (on) => on.sequence(minimumSequence(MIGRATION)),
        ),
      ),
    sql: () => 'select last_value from switchback."minimum:m"',
    answer: (result) => shown(first(result)),
  },
  /** The exclusive key of an epoch, as it is taken to pass the fence. */
  fence: {
    model: async (session, args) =>
      ok(
        void (await session.lock(fenceLock(MIGRATION, Number(arg(args, 0))), 'exclusive', { of: 'session' })),
      ),
    sql: (args) => `select pg_advisory_lock(hashtext('switchback fence m'), ${arg(args, 0)})`,
    answer: ok,
  },
  'fence-release': {
    model: async (session, args) =>
      yes(await session.unlock(fenceLock(MIGRATION, Number(arg(args, 0))), 'exclusive')),
    sql: (args) => `select pg_advisory_unlock(hashtext('switchback fence m'), ${arg(args, 0)})`,
    answer: (result) => yes(first(result)),
  },
  get: {
    model: async (session, args) => shown(await session.get(tableOf(args), arg(args, 1))),
    sql: (args) => `select v from ${tableOf(args).name} where id = ${text(arg(args, 1))}`,
    answer: (result) => shown(first(result)),
  },
  scan: {
    model: async (session, args) => list(await session.scan(tableOf(args))),
    sql: (args) => `select id, v from ${tableOf(args).name} order by id`,
    answer: (result) => list(result.rows.map((row: { id: string; v: string }) => [row.id, row.v])),
  },
  lock: {
    model: async (session, args) => shown(await session.lockRow(tableOf(args), arg(args, 1))),
    sql: (args) => `select v from ${tableOf(args).name} where id = ${text(arg(args, 1))} for no key update`,
    answer: (result) => shown(first(result)),
  },
  insert: {
    model: async (session, args) => ok(await session.insert(tableOf(args), arg(args, 1), arg(args, 2))),
    sql: (args) =>
      `insert into ${tableOf(args).name} (id, v) values (${text(arg(args, 1))}, ${text(arg(args, 2))})`,
    answer: ok,
  },
  absent: {
    model: async (session, args) =>
      yes(await session.insertIfAbsent(tableOf(args), arg(args, 1), arg(args, 2))),
    sql: (args) =>
      `insert into ${tableOf(args).name} (id, v) values (${text(arg(args, 1))}, ${text(arg(args, 2))}) on conflict do nothing`,
    answer: changed,
  },
  upsert: upsert(false),
  'upsert-different': upsert(true),
  update: {
    model: async (session, args) =>
      yes(await session.update(tableOf(args), arg(args, 1), () => arg(args, 2))),
    sql: (args) =>
      `update ${tableOf(args).name} set v = ${text(arg(args, 2))} where id = ${text(arg(args, 1))}`,
    answer: changed,
  },
  /** Appends to the value, so that it shows which version was updated. */
  append: {
    model: async (session, args) =>
      yes(await session.update(tableOf(args), arg(args, 1), (value) => value + arg(args, 2))),
    sql: (args) =>
      `update ${tableOf(args).name} set v = v || ${text(arg(args, 2))} where id = ${text(arg(args, 1))}`,
    answer: changed,
  },
  'update-if': {
    model: async (session, args) =>
      yes(
        await session.update(
          tableOf(args),
          arg(args, 1),
          () => arg(args, 3),
          (value) => value === arg(args, 2),
        ),
      ),
    sql: (args) =>
      `update ${tableOf(args).name} set v = ${text(arg(args, 3))}
       where id = ${text(arg(args, 1))} and v = ${text(arg(args, 2))}`,
    answer: changed,
  },
  delete: {
    model: async (session, args) => yes(await session.remove(tableOf(args), arg(args, 1))),
    sql: (args) => `delete from ${tableOf(args).name} where id = ${text(arg(args, 1))}`,
    answer: changed,
  },
  'delete-if': {
    model: async (session, args) =>
      yes(await session.remove(tableOf(args), arg(args, 1), (value) => value === arg(args, 2))),
    sql: (args) =>
      `delete from ${tableOf(args).name} where id = ${text(arg(args, 1))} and v = ${text(arg(args, 2))}`,
    answer: changed,
  },
  savepoint: simple('savepoint', 'savepoint'),
  release: simple('release', 'release savepoint'),
  'rollback-to': simple('rollbackTo', 'rollback to savepoint'),
  commit: {
    model: (session) => session.commit(),
    sql: () => 'commit',
    answer: (result) => (result.command === 'COMMIT' ? 'committed' : 'rolled back'),
  },
  rollback: {
    model: async (session) => ok(await session.rollback()),
    sql: () => 'rollback',
    answer: ok,
  },
  'lock-x': advisory('exclusive'),
  'lock-s': advisory('shared'),
  'lock-x-session': advisory('exclusive', 'session'),
  'lock-s-session': advisory('shared', 'session'),
  'try-x': tryAdvisory('exclusive'),
  'try-s': tryAdvisory('shared'),
  'try-x-session': tryAdvisory('exclusive', 'session'),
  'try-s-session': tryAdvisory('shared', 'session'),
  'unlock-x': unlock('exclusive'),
  'unlock-s': unlock('shared'),
  /** Waits for a bounded time. */
  'lock-x-briefly': {
    model: async (session, args) =>
      ok(await session.lock(arg(args, 0), 'exclusive', { of: 'session', timeoutMs: 50 })),
    sql: (args) =>
      `set lock_timeout = 50; select pg_advisory_lock(hashtext(${text(arg(args, 0))})); reset lock_timeout`,
    answer: ok,
  },
  copy: copy(true, true),
  'copy-without-lock': copy(false, true),
  'copy-without-overwrite': copy(true, false),
  fill: fill(true),
  'fill-without-lock': fill(false),
  sweep: {
    model: async (session) =>
      `${(await session.statement(() => 'sweep', sweepChunk(OLD, NEW, {}))).length} gone`,
    sql: () => 'delete from new n where not exists (select from old o where o.id = n.id)',
    answer: (result) => `${result.rowCount ?? 0} gone`,
  },
  compare: {
    model: async (session) => {
      const rows = await session.statement(() => 'compare', compareChunk(OLD, NEW, {}))
      return list(rows.map((row) => [row.key, `${shown(row.old)}/${shown(row.new)}`]))
    },
    sql: () =>
      `select coalesce(o.id, n.id) as id, coalesce(o.v, 'none') || '/' || coalesce(n.v, 'none') as v
       from old o full join new n on n.id = o.id where o.v is distinct from n.v order by 1`,
    answer: (result) => list(result.rows.map((row: { id: string; v: string }) => [row.id, row.v])),
  },
  queue: {
    model: async (session, args) =>
      ok(
        await session.statement(
          () => 'queue repair',
          queueRepair(MIGRATION, arg(args, 0), { path: side(arg(args, 1)), epoch: 1, reason: 'check' }),
        ),
      ),
    sql: (args) =>
      `select switchback.queue_repair('m', ${text(arg(args, 0))}, ${text(arg(args, 1))}, 1, 'check')`,
    answer: ok,
  },
  open: {
    model: async (session, args) =>
      yes(
        await session.statement(() => 'repair open', repairOpen(MIGRATION, arg(args, 0), side(arg(args, 1)))),
      ),
    sql: (args) => `select switchback.repair_open('m', ${text(arg(args, 0))}, ${text(arg(args, 1))})`,
    answer: (result) => yes(first(result)),
  },
  xid: {
    model: async (session, _args, memory) => {
      memory.xid = String(await session.xid())
      return 'ok'
    },
    sql: () => 'select pg_current_xact_id()::text',
    answer: (result, memory) => {
      memory.xid = shown(first(result))
      return 'ok'
    },
  },
  older: {
    model: async (session, _args, memory) => yes(await session.olderSnapshots(Number(memory.xid))),
    sql: (_args, memory) =>
      `select exists (
         select from pg_stat_activity
         where (backend_xmin::text::bigint < ${memory.xid} or backend_xid::text::bigint < ${memory.xid})
           and pid <> pg_backend_pid() and datname = current_database() and application_name <> 'watcher'
       )`,
    answer: (result) => yes(first(result)),
  },
}

/** How an error is told: by its SQLSTATE. */
export function codeOf(error: unknown): string {
  if (error instanceof DbError) return `error ${error.code}`
  if (error instanceof Error && 'code' in error && typeof error.code === 'string')
    return `error ${error.code}`
  throw error
}
