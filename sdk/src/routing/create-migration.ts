import { isDeepStrictEqual } from 'node:util'
import { SwitchbackError } from '../error.ts'
import type { Independent } from '../transaction/independent.ts'
import type { TransactionPort } from '../transaction/transaction-port.ts'
import { createBareWrites } from './bare-writes.ts'
import type { HandlerTable } from './handlers.ts'
import { createIndependentWrites } from './independent-writes.ts'
import type { MigrationKey, MigrationRuntime, RuntimeOptions } from './migration-runtime.ts'
import { createReads } from './reads.ts'
import { OpenTransaction, type RoutedTransaction } from './routed-transaction.ts'
import type { Call, RouterEnv, SecondaryFailure } from './router-env.ts'
import { createTransactionWrites } from './transaction-writes.ts'

/** The two ways to do one operation. A version of the application may have only one of them. */
export interface PathHandlers<Key, Tx, Args extends unknown[], Result> {
  readonly old?: (key: NoInfer<Key>, tx: NoInfer<Tx>, ...args: Args) => Result | PromiseLike<Result>
  readonly new?: (key: NoInfer<Key>, tx: NoInfer<Tx>, ...args: Args) => Result | PromiseLike<Result>
}

/** What `client.migration` is given. */
export interface MigrationOptions<
  Key,
  Tx,
  ReadArgs extends unknown[],
  ReadResult,
  WriteArgs extends unknown[],
  WriteResult,
  RemoveArgs extends unknown[],
  RemoveResult,
> {
  /** The key that an operation is about, from its first argument. It decides the share, the lock, the repair. */
  readonly key: (value: Key) => MigrationKey
  /**
   * Transaction mode where both paths are in one database (`pgTransaction`), independent mode where they are
   * in two (`independent`). Without it writes are not crash-safe (a process that dies between the two paths
   * leaves them apart), and `tx` is undefined.
   */
  readonly transaction?: TransactionPort<Tx> | Independent<Tx>
  readonly read?: PathHandlers<Key, Tx, ReadArgs, ReadResult>
  readonly write?: PathHandlers<Key, Tx, WriteArgs, WriteResult>
  readonly remove?: PathHandlers<Key, Tx, RemoveArgs, RemoveResult>
  /** Whether a shadow read found the same. Default: deep equality. */
  readonly compare?: (old: NoInfer<ReadResult>, fresh: NoInfer<ReadResult>) => boolean
  /**
   * `repair` (default): a failure of the path that does not lead is not the caller's; in transaction mode its
   * key is queued for repair in the same transaction. `fail`: both or neither.
   */
  readonly onSecondaryFailure?: 'repair' | 'fail'
  /** Told of every failure of the path that does not lead. Must not throw. */
  readonly onSecondaryError?: (failure: SecondaryFailure) => void
}

/** The operations of one migration. Which path runs, is compared or fenced is not the caller's business. */
export interface MigrationOperations<
  Key,
  ReadArgs extends unknown[],
  ReadResult,
  WriteArgs extends unknown[],
  WriteResult,
  RemoveArgs extends unknown[],
  RemoveResult,
> {
  read(key: Key, ...args: ReadArgs): Promise<Awaited<ReadResult>>
  write(key: Key, ...args: WriteArgs): Promise<Awaited<WriteResult>>
  remove(key: Key, ...args: RemoveArgs): Promise<Awaited<RemoveResult>>
}

export interface Migration<
  Key,
  Tx,
  ReadArgs extends unknown[],
  ReadResult,
  WriteArgs extends unknown[],
  WriteResult,
  RemoveArgs extends unknown[],
  RemoveResult,
> extends MigrationOperations<Key, ReadArgs, ReadResult, WriteArgs, WriteResult, RemoveArgs, RemoveResult> {
  /** The same operations inside a transaction of `client.transaction`. */
  in(
    transaction: RoutedTransaction<Tx>,
  ): MigrationOperations<Key, ReadArgs, ReadResult, WriteArgs, WriteResult, RemoveArgs, RemoveResult>
}

// A migration whose types are not known here. The one place where they are forgotten, and given back by
// `client.migration`, whose signature ties the handlers to the operations.
type Untyped = Migration<unknown, unknown, unknown[], unknown, unknown[], unknown, unknown[], unknown>
export type UntypedOptions = MigrationOptions<
  unknown,
  unknown,
  unknown[],
  unknown,
  unknown[],
  unknown,
  unknown[],
  unknown
>

const modeOf = (given: UntypedOptions['transaction']): Pick<RuntimeOptions, 'transaction' | 'independent'> =>
  given !== undefined && 'kind' in given
    ? { transaction: undefined, independent: given }
    : { transaction: given }

export const runtimeOptionsOf = (options: UntypedOptions): RuntimeOptions => ({
  handlers: {
    ...(options.read === undefined ? {} : { read: options.read }),
    ...(options.write === undefined ? {} : { write: options.write }),
    ...(options.remove === undefined ? {} : { remove: options.remove }),
  } as HandlerTable,
  key: options.key,
  ...modeOf(options.transaction),
  compare: options.compare ?? isDeepStrictEqual,
  onSecondaryFailure: options.onSecondaryFailure ?? 'repair',
  onSecondaryError: options.onSecondaryError,
})

/** The operations over a runtime. Strategies of writing are told apart here, once. */
export function createMigration(env: RouterEnv, runtime: MigrationRuntime): Untyped {
  const { transaction, independent } = runtime.options
  const writes = (kind: 'write' | 'remove'): Call => {
    if (independent !== undefined) return createIndependentWrites(env, runtime, independent, kind)
    return transaction === undefined
      ? createBareWrites(env, runtime, kind)
      : createTransactionWrites(env, runtime, transaction, kind)
  }
  const read = createReads(env, runtime)
  const write = writes('write')
  const remove = writes('remove')
  return {
    read: (key, ...args) => read(key, args),
    write: (key, ...args) => write(key, args),
    remove: (key, ...args) => remove(key, args),
    in: (open) => {
      if (!(open instanceof OpenTransaction) || open.port !== transaction) {
        throw new SwitchbackError('bad-options', `${runtime.id} has another target than this transaction`, {
          retryable: false,
        })
      }
      return {
        read: (key, ...args) => open.run(runtime, 'read', key, args),
        write: (key, ...args) => open.run(runtime, 'write', key, args),
        remove: (key, ...args) => open.run(runtime, 'remove', key, args),
      }
    },
  }
}
