import type { Path } from '@switchback/migrations-registry'
import {
  CommitUnknownError,
  type Guard,
  SwitchbackError,
  type TargetFailure,
  type TransactionHandle,
  type TransactionPort,
} from '@switchback/sdk'
import type { StatementBody } from '../database/backend.ts'
import { DbError } from '../database/db-error.ts'
import type { Session } from '../database/session.ts'
import { enter, type FenceMinimum, keyLock, queueRepair, repairOpen } from '../database/target.ts'
import type { Isolation } from '../database/transaction.ts'
import type { Checker } from '../invariants/checker.ts'
import type { Speaker, Value, WriteOp } from '../invariants/operations.ts'
import type { Mutant } from './mutants.ts'
import { TABLES } from './tables.ts'
import type { TargetSchema } from './target-schema.ts'

/** What the handlers of the application run their statements on. */
export interface AppTx {
  get(path: Path, key: string): Promise<Value>
  apply(path: Path, op: WriteOp): Promise<void>
  /** A statement that has nothing to do with the migration. */
  look(): Promise<void>
}

/** Epoch of the operation that a transaction is in, where no guard has told it. */
interface Unguarded {
  epoch: number | undefined
}

export interface PortOptions {
  /** A session to use alone, until it is given back. */
  readonly connect: () => Session
  readonly giveBack: (session: Session) => void
  readonly isolation: Isolation
  readonly retries: number
  readonly app: Speaker
  readonly checker: Checker
  readonly schema: TargetSchema
  readonly minimum: FenceMinimum
  readonly mutant: Mutant | undefined
  /** Whether there are transactions of the application's own, which begin without an operation. */
  readonly beginsEmpty: boolean
  /** Whether this statement of an operation is to fail. */
  readonly fails: (path: Path, op: WriteOp) => boolean
}

const FAILURES: Readonly<Record<string, TargetFailure>> = {
  SB001: 'stale-epoch',
  SB002: 'repair-conflict',
  '40001': 'serialization',
  '40P01': 'serialization',
  '42883': 'no-fence',
  '08006': 'connection',
}
const failureOf = (error: unknown): TargetFailure =>
  error instanceof DbError ? (FAILURES[error.code] ?? 'other') : 'other'

/** The SDK's port to a target, over sessions of the simulated database. */
export function createSimPort(options: PortOptions): TransactionPort<AppTx> {
  const { app, checker, schema, minimum, mutant } = options

  const txOf = (session: Session, unguarded: Unguarded = { epoch: undefined }): AppTx => ({
    get: (path, key) =>
      session.statement(
        () => `select ${path} ${key}`,
        (on) => {
          schema.require(path)
          return on.get(TABLES[path], key)
        },
      ),
    look: () =>
      session.statement(
        () => 'select something else',
        () => undefined,
      ),
    apply: (path, op) =>
      session.statement(
        () => `${op.kind} ${path} ${op.key} ${op.value ?? ''}`,
        async (on) => {
          schema.require(path)
          if (unguarded.epoch !== undefined) checker.letIn(on.tx, app.name, unguarded.epoch)
          checker.writes(on.tx, op)
          if (options.fails(path, op)) throw new DbError('23514', `planted: ${path} refuses ${op.key}`)
          if (op.kind === 'remove') await on.remove(TABLES[path], op.key)
          else if (op.kind === 'change') await on.update(TABLES[path], op.key, () => op.value as string)
          else await on.upsert(TABLES[path], op.key, op.value as string)
        },
      ),
  })

  const guardBody =
    (guard: Guard, epoch: number): StatementBody<void> =>
    async (on) => {
      const key = guard.kind === 'none' || mutant === 'no-key-lock' ? null : guard.key
      if (guard.kind === 'fence' && mutant !== 'no-fence') {
        schema.requireFence()
        // The statement has its snapshot by now; the server may turn to others before it runs.
        await on.pause()
        await enter({ migration: guard.migration, epoch: guard.epoch, key }, minimum)(on)
      } else if (guard.kind !== 'none' && key !== null) {
        await on.lock(keyLock(guard.migration, key), 'exclusive')
      }
      if (counts(guard, epoch)) checker.letIn(on.tx, app.name, epoch)
    }

  /** What may be empty, and turn out to be of a later epoch, counts from its first operation. */
  const counts = (guard: Guard, epoch: number) =>
    guard.kind !== 'none' || (!options.beginsEmpty && !checker.fenced(epoch))
  const epochOf = (guard: Guard) => (guard.kind === 'fence' ? guard.epoch : app.applied)
  const labelOf = (guard: Guard) =>
    guard.kind === 'none'
      ? 'no guard'
      : `${guard.kind}${guard.kind === 'fence' ? ` ${guard.epoch}` : ''} ${guard.key}`

  /** A reader's one statement needs no transaction of its own. */
  const alone = async <Result>(run: (session: Session) => Promise<Result>): Promise<Result> => {
    const session = options.connect()
    try {
      return await run(session)
    } finally {
      options.giveBack(session)
    }
  }

  const open = async (
    begin: (session: Session) => Promise<void>,
    unguarded?: number,
  ): Promise<TransactionHandle<AppTx>> => {
    const session = options.connect()
    try {
      await begin(session)
    } catch (error) {
      await abandon(session)
      throw error
    }
    return handleOf(session, { epoch: unguarded })
  }

  const abandon = async (session: Session): Promise<void> => {
    if (!session.lost) await session.rollback().catch(() => undefined)
    options.giveBack(session)
  }

  const handleOf = (session: Session, unguarded: Unguarded): TransactionHandle<AppTx> => {
    let ended = false
    return {
      tx: txOf(session, unguarded),
      enter: async (guard, savepoint) => {
        const token = { app, epoch: epochOf(guard) }
        checker.sent(token)
        try {
          await session.statement(() => `enter ${labelOf(guard)}`, guardBody(guard, token.epoch))
        } finally {
          checker.over(token)
        }
        unguarded.epoch = guard.kind === 'none' ? token.epoch : undefined
        if (savepoint) await session.savepoint('s')
      },
      savepoint: () => session.savepoint('s'),
      rollbackToSavepoint: () => session.rollbackTo('s'),
      queueRepair: ({ migration, key, path, epoch, reason }) =>
        session.statement(
          () => `queue repair of ${path} ${key}`,
          queueRepair(migration, key, { path, epoch, reason }),
        ),
      repairOpen: (migration, key, path) =>
        session.statement(() => `repair open ${path} ${key}`, repairOpen(migration, key, path)),
      commit: async () => {
        let outcome: 'committed' | 'rolled back'
        try {
          outcome = await session.commit()
        } catch (error) {
          ended = true
          if (failureOf(error) !== 'connection') {
            await abandon(session)
            throw error
          }
          options.giveBack(session)
          throw new CommitUnknownError(error)
        }
        ended = true
        options.giveBack(session)
        if (outcome === 'committed') return
        throw new SwitchbackError('transaction-aborted', 'nothing was written', { retryable: false })
      },
      rollback: async () => {
        if (ended) return
        ended = true
        await abandon(session)
      },
    }
  }

  return {
    reader: {
      get: (path, key) => alone((session) => txOf(session).get(path, key)),
      apply: () => Promise.reject(new Error('a reader does not write')),
      look: () => Promise.reject(new Error('a reader looks at nothing else')),
    },
    retries: options.retries,
    begin: async (guard, savepoint) => {
      const token = { app, epoch: epochOf(guard) }
      if (counts(guard, token.epoch)) checker.sent(token)
      try {
        return await open(
          async (session) => {
            await session.begin(options.isolation, {
              label: labelOf(guard),
              body: guardBody(guard, token.epoch),
            })
            if (savepoint) await session.savepoint('s')
          },
          guard.kind === 'none' ? token.epoch : undefined,
        )
      } finally {
        checker.over(token)
      }
    },
    snapshot: () => open((session) => session.begin('repeatable read')),
    repairOpen: (migration, key, path) =>
      alone((session) =>
        session.statement(() => `repair open ${path} ${key}`, repairOpen(migration, key, path)),
      ),
    failureOf,
  }
}
