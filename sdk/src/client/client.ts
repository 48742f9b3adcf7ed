import type {
  Evaluation,
  EvaluationContext,
  HandlerManifest,
  Position,
} from '@switchback/migrations-registry'
import type { Migration, MigrationOptions } from '../routing/create-migration.ts'
import type { RoutedTransaction } from '../routing/routed-transaction.ts'
import type { TransactionPort } from '../transaction/transaction-port.ts'

/** What this instance knows of itself. */
export interface Status {
  readonly instance: string
  readonly connected: boolean
  /** Registered under the present connection: the server counts this instance. */
  readonly registered: boolean
  /** -1 before the first state. */
  readonly revision: number
  readonly positions: Readonly<Record<string, Position>>
  /** Milliseconds until the lease is over; 0 where there is none. */
  readonly leaseLeftMs: number
  readonly dropped: {
    /** Operations whose measurements did not reach the server. */
    readonly telemetry: number
    /** Shadow reads left out because of their concurrency or their timeout. */
    readonly shadowReads: number
    /** Messages that could not be read. */
    readonly badMessages: number
    /** Times that something older than what is held was offered. */
    readonly olderStates: number
  }
}

export interface ClientListener {
  /** Keys of flags, those of migrations included, whose value may be another one now. */
  changed?(flags: readonly string[]): void
  connection?(connected: boolean): void
}

/** A connected instance. Made by `connect`. */
export interface Switchback {
  /** Id under which the server knows this process. */
  readonly instance: string
  /**
   * Declares a migration with its handlers, and returns its operations.
   *
   * The server is told at once (declarations made in one go are one message), and operations wait until it
   * knows: an instance that works without being counted could be overrun by the next phase. Where the server
   * cannot be reached they go on after `startTimeout` with the state that is held. Where it refuses the
   * handlers, operations and `ready()` reject.
   */
  migration<
    Key,
    Tx = undefined,
    ReadArgs extends unknown[] = [],
    ReadResult = never,
    WriteArgs extends unknown[] = [],
    WriteResult = never,
    RemoveArgs extends unknown[] = [],
    RemoveResult = never,
  >(
    id: string,
    options: MigrationOptions<
      Key,
      Tx,
      ReadArgs,
      ReadResult,
      WriteArgs,
      WriteResult,
      RemoveArgs,
      RemoveResult
    >,
  ): Migration<Key, Tx, ReadArgs, ReadResult, WriteArgs, WriteResult, RemoveArgs, RemoveResult>
  /**
   * Runs several routed operations, through `migration.in(transaction)`, in one transaction of the target.
   * `work` may run more than once, after serialization failures and after a passed epoch.
   */
  transaction<Tx, Result>(
    port: TransactionPort<Tx>,
    work: (transaction: RoutedTransaction<Tx>) => Promise<Result>,
  ): Promise<Result>
  /**
   * Resolves when every declared migration is registered, rejects when the server has refused them for good.
   * Stays pending while the server cannot be reached: for readiness probes, not for the start.
   */
  ready(): Promise<void>
  /** Evaluates a flag, `<migration>.read|write|backfill` or an alias. Never throws. */
  evaluate(key: string, context?: EvaluationContext): Evaluation
  /** Listens until the returned function is called. */
  subscribe(listener: ClientListener): () => void
  /** The measurements of this instance in the text format of Prometheus. */
  metrics(): string
  status(): Status
  /**
   * What this version can do: the handlers of the migrations declared so far, for `switchback can-i-deploy
   * --handlers`. A build that has no server to connect to uses `describeHandlers`.
   */
  manifest(): HandlerManifest
  /** Waits for what is in flight, sends the last measurements, says goodbye. May be called again. */
  close(): Promise<void>
}
