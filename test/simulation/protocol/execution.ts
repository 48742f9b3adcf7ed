import type { MigrationState } from '@switchback/migrations-registry'
import type { Execution, WorkOrder, WorkOutcome } from '@switchback/server/protocol'
import type { Database } from '../database/database.ts'
import { DbError } from '../database/db-error.ts'
import { Session } from '../database/session.ts'
import { type FenceMinimum, fenceLock, raise } from '../database/target.ts'
import type { Checker } from '../invariants/checker.ts'
import { Violation } from '../invariants/violation.ts'
import type { Network } from '../world/network.ts'
import type { SimProcess } from '../world/process.ts'
import type { Random } from '../world/random.ts'
import { backfill, type CopyTools, reconcile, repairSome } from './copying.ts'
import type { Mutant } from './mutants.ts'
import { FENCES, REPAIR_ROWS, TABLES } from './tables.ts'
import type { TargetSchema } from './target-schema.ts'

export interface SimExecutionOptions {
  readonly network: Network
  readonly db: Database
  readonly checker: Checker
  readonly schema: TargetSchema
  readonly minimum: FenceMinimum
  readonly random: Random
  readonly mutant: Mutant | undefined
  readonly state: () => MigrationState | undefined
  /** I7: what is missing for contract to begin; undefined where nothing is. */
  readonly contractRefusal: () => string | undefined
  readonly archive: Map<string, string>
}

const NOBODY = { passed: 0, seen: 0, state: undefined }
const FENCE_WAIT_MS = 60
const SLICE_MS = 20
/** After which a target that does not answer counts as away. */
const CONNECT_MS = 40

/**
 * The database work of the target. The order of its steps mirrors `fence`, `copying` and `comparing` of the
 * server; the steps themselves are operations of the simulated database, each a statement of its own.
 */
export function createSimExecution(options: SimExecutionOptions, process: SimProcess): Execution {
  const { network, db, checker, schema, minimum, mutant } = options

  const connected = async <Result>(work: (session: Session) => Promise<Result>): Promise<Result> => {
    const session = new Session(network, process, db)
    try {
      return await work(session)
    } finally {
      session.close()
    }
  }

  const tools: CopyTools = { connected, process, random: options.random, mutant }

  const takeExclusively = async (session: Session, migration: string, epoch: number): Promise<boolean> => {
    const lock = fenceLock(migration, epoch)
    try {
      await session.lock(lock, 'exclusive', { of: 'session', timeoutMs: SLICE_MS })
    } catch (error) {
      if (error instanceof DbError && (error.code === '55P03' || error.code === '40P01')) return false
      throw error
    }
    await session.unlock(lock, 'exclusive')
    return true
  }

  const passFence: Execution['passFence'] = (migration, epoch, signal) =>
    connected(async (session) => {
      const work = options.state()?.work
      if (mutant === 'reverse-backfill-without-fence' && work?.kind === 'reverse-backfill') {
        if (work.status !== 'done') return { passed: true }
      }
      schema.fence = true
      const deadline = process.clock() + FENCE_WAIT_MS
      const raised = () =>
        session.statement(() => `raise the minimum to ${epoch}`, raise(migration, epoch, minimum))
      if (mutant !== 'minimum-raised-after-drain') await raised()
      const row = (await session.get(FENCES, migration)) ?? NOBODY
      for (let older = row.passed; older < epoch; ) {
        signal?.throwIfAborted()
        if (await takeExclusively(session, migration, older)) older += 1
        else if (process.clock() >= deadline) {
          return {
            passed: false,
            holders: [{ pid: 1, application: 'app', ageMs: 0, query: `epoch ${older}` }],
          }
        }
      }
      if (mutant === 'minimum-raised-after-drain') await raised()
      await session.statement(
        () => `passed ${epoch}`,
        async (on) => {
          const now = on.get(FENCES, migration) ?? NOBODY
          await on.upsert(FENCES, migration, { ...now, passed: Math.max(now.passed, epoch) })
        },
      )
      return { passed: true }
    })

  const run = async (kind: Parameters<Execution['run']>[0], order: WorkOrder): Promise<WorkOutcome> => {
    const done: WorkOutcome = { divergences: 0, detail: {} }
    order.signal.throwIfAborted()
    switch (kind) {
      case 'expand':
        await process.delay(1)
        schema.paths.new = true
        return done
      case 'rollback':
        checker.workStarts(kind, order.epoch)
        await connected((session) =>
          session.statement(
            () => 'drop new',
            async (on) => {
              for (const [key] of on.scan(TABLES.new)) await on.remove(TABLES.new, key)
              for (const [key] of on.scan(REPAIR_ROWS)) await on.remove(REPAIR_ROWS, key)
              schema.paths.new = false
            },
          ),
        )
        return done
      case 'backfill':
        checker.workStarts(kind, order.epoch)
        await backfill(tools, order)
        return done
      case 'verify':
        checker.workStarts(kind, order.epoch)
        return { divergences: await reconcile(tools, order, 'old'), detail: {} }
      case 'reverse-backfill':
        if (mutant === 'retired-without-reverse-backfill') return done
        checker.workStarts(kind, order.epoch)
        return { divergences: await reconcile(tools, order, 'new'), detail: {} }
      case 'contract': {
        const rows = await connected((session) => session.scan(TABLES.old))
        await order.committing()
        // From here on it is destructive, and cannot be called off.
        const refusal = options.contractRefusal()
        if (refusal !== undefined) throw new Violation('I7', `contract drops old ${refusal}`)
        checker.oldIsDropped()
        options.archive.clear()
        for (const [key, value] of rows) options.archive.set(key, value)
        await connected((session) =>
          session.statement(
            () => 'drop old',
            async (on) => {
              for (const [key] of on.scan(TABLES.old)) await on.remove(TABLES.old, key)
              schema.paths.old = false
            },
          ),
        )
        return done
      }
      case 'restore':
        schema.paths.old = true
        await connected((session) =>
          session.statement(
            () => 'bring old back',
            async (on) => {
              for (const [key, value] of options.archive) await on.upsert(TABLES.old, key, value)
            },
          ),
        )
        return done
    }
  }

  return {
    prepare: async () => {
      await process.delay(1)
      schema.fence = true
    },
    carry: async () => 'there',
    passFence: (migration, epoch, signal) => passFence(migration, epoch, signal),
    schema: async () => [],
    pruneArchives: async () => [],
    load: async () => ({ connections: 0, transactionAgeMs: 0, tps: 0 }),
    acceptSchema: async () => undefined,
    remember: async (migration: string, state: MigrationState) => {
      if (!schema.fence || mutant === 'epoch-reused-after-restore') return undefined
      const silence = process.delay(CONNECT_MS).then(() => Promise.reject(new Error('no connection')))
      const answer = connected((session) =>
        session.statement(
          () => `remember epoch ${state.epoch}`,
          async (on) => {
            // Locked before it is looked at, as the conflict clause of the statement does.
            await on.insertIfAbsent(FENCES, migration, NOBODY)
            const row = (await on.lockRow(FENCES, migration)) ?? NOBODY
            if (row.seen > state.epoch) return row.state
            await on.upsert(FENCES, migration, { ...row, seen: state.epoch, state })
            return undefined
          },
        ),
      )
      // Either may fail when nobody waits for it any more.
      answer.catch(() => undefined)
      silence.catch(() => undefined)
      return Promise.race([answer, silence])
    },
    minimum: (migration) =>
      connected((session) =>
        session.statement(
          () => 'minimum',
          (on) => minimum.read(on, migration),
        ),
      ),
    repairs: () =>
      connected(async (session) => {
        const rows = await session.scan(REPAIR_ROWS)
        const old = rows.filter(([, { path }]) => path === 'old').length
        return { old, new: rows.length - old }
      }),
    failedRows: async () => 0,
    listFailedRows: async () => [],
    listRanges: async () => [],
    assist: async () => false,
    repairSome: (definition, limit) => repairSome(tools, definition.id, limit),
    exclusively: (migration, work) =>
      connected(async (session) => {
        const lock = `executor ${migration}`
        if (!(await session.tryLock(lock, 'exclusive', { of: 'session' }))) return undefined
        const lost = new AbortController()
        const forget = session.onLost(() => lost.abort(new Error('the lock is lost')))
        try {
          return await work(lost.signal)
        } finally {
          forget()
          if (!session.lost) await session.unlock(lock, 'exclusive').catch(() => undefined)
        }
      }),
    run,
    end: async () => {},
  }
}
