import type { PgClient, PgPool } from '@switchback/sdk'
import type pg from 'pg'
import type { Rewrite } from './stepped-target.ts'
import type { Actor, StepOptions, Stepper } from './stepper.ts'

export interface Committed {
  readonly actor: string
  /** Whose database it was, where each path has its own. */
  readonly path?: 'old' | 'new'
  /** Under which epoch the transaction passed the fence; undefined where it passed none. */
  readonly epoch: number | undefined
  /** When the commit was let go. */
  readonly at: number
}

/** What a client wants to know of its transactions, and how it takes its steps. */
export interface PoolHooks {
  /** The actor whose statements these are; undefined while nothing is scheduled. */
  readonly actor: () => Actor | undefined
  readonly stepper: Stepper
  readonly rewrite: Rewrite
  readonly onBegin: () => void
  readonly onDeadlock: () => void
  readonly onCommit: (committed: Committed) => void
}

export interface SteppedPoolDeps extends PoolHooks {
  readonly pool: pg.Pool
  /** Whose database it is, where each path has its own. */
  readonly path?: 'old' | 'new'
}

type Query = pg.Pool['query']

const FREE = /^(SAVEPOINT|ROLLBACK)/
const COMMITS = /(^|; )COMMIT$/
const ENTERS = /"enter:[^"]+"\((\d+),/

const pids = new WeakMap<pg.PoolClient, number>()

async function pidOf(client: pg.PoolClient): Promise<number> {
  const known = pids.get(client)
  if (known !== undefined) return known
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const pid = rows[0]?.pid ?? 0
  pids.set(client, pid)
  return pid
}

/** The pool of an application whose statements wait for the scheduler. */
export function steppedPool(deps: SteppedPoolDeps): PgPool<Query> {
  const { pool, path, stepper, rewrite } = deps
  const labelOf = (text: string): string => `${path === undefined ? '' : `${path}: `}${text.slice(0, 60)}`

  async function connect(): Promise<PgClient & { query: Query }> {
    const client = await pool.connect()
    const pid = await pidOf(client)
    let epoch: number | undefined
    const query = async (text: string, values?: unknown[]): Promise<pg.QueryResult> => {
      const actor = deps.actor()
      const step: StepOptions | undefined = FREE.test(text) ? undefined : { label: labelOf(text) }
      const entered = ENTERS.exec(text)
      if (text.startsWith('BEGIN')) {
        epoch = undefined
        deps.onBegin()
      }
      if (entered !== null) epoch = Number(entered[1])
      let at = 0
      const ask = (): Promise<pg.QueryResult> => {
        at = stepper.now
        return client.query(rewrite(text), values)
      }
      const result = await (actor === undefined ? ask() : actor.run(pid, step, ask))
        .catch((error: unknown) => {
          if (error instanceof Error && 'code' in error && error.code === '40P01') deps.onDeadlock()
          throw error
        })
        .finally(() => {
          if (COMMITS.test(text) || text === 'ROLLBACK') stepper.ended += 1
        })
      // Of several statements in one message the last one.
      const last = Array.isArray(result) ? (result as pg.QueryResult[]).at(-1) : result
      if (COMMITS.test(text) && last?.command === 'COMMIT') {
        deps.onCommit({ actor: actor?.name ?? 'nobody', ...(path === undefined ? {} : { path }), epoch, at })
      }
      return result
    }
    return {
      query: query as unknown as Query & PgClient['query'],
      release: (error) => client.release(error),
      on: (event, listener) => client.on(event, listener),
      off: (event, listener) => client.off(event, listener),
    }
  }

  const query = async (text: string, values?: unknown[]): Promise<pg.QueryResult> => {
    const actor = deps.actor()
    const ask = (): Promise<pg.QueryResult> => pool.query(rewrite(text), values)
    return actor === undefined ? ask() : actor.run(undefined, { label: labelOf(text) }, ask)
  }
  return { query: query as unknown as Query, connect }
}
