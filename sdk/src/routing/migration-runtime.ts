import { defaultConfig, keyText, type MigrationConfig, type Path } from '@switchback/migrations-registry'
import { SwitchbackError } from '../error.ts'
import type { MeasuredOperation } from '../telemetry/cell.ts'
import type { Independent } from '../transaction/independent.ts'
import type { TransactionPort } from '../transaction/transaction-port.ts'
import { EpochLedger } from './epoch-ledger.ts'
import { type Handler, type HandlerTable, pathsOf } from './handlers.ts'
import { compilePlan, type Plan, type PlanOptions } from './plan.ts'
import type { RouterEnv, SecondaryFailure } from './router-env.ts'

/** Text, number or the parts of a composite key. */
export type MigrationKey = string | number | bigint | readonly (string | number | bigint)[]

export interface RuntimeOptions {
  readonly handlers: HandlerTable
  readonly key: (value: unknown) => MigrationKey
  readonly transaction: TransactionPort<unknown> | undefined
  /** Instead of `transaction`: the paths are in two databases. */
  readonly independent?: Independent<unknown> | undefined
  readonly compare: (old: unknown, fresh: unknown) => boolean
  readonly onSecondaryFailure: 'repair' | 'fail'
  readonly onSecondaryError: ((failure: SecondaryFailure) => void) | undefined
}

/** Whether every write of a migration goes through the fence where the server has one. */
export const isFenced = ({
  transaction,
  independent,
}: Pick<RuntimeOptions, 'transaction' | 'independent'>): boolean =>
  transaction !== undefined || independent !== undefined

/** One migration on this instance: its handlers, what it does now, and what it has in flight. */
export class MigrationRuntime {
  readonly id: string
  readonly options: RuntimeOptions
  readonly ledger: EpochLedger
  /** Set until the server knows that this instance has these handlers; operations wait for it. */
  gate: Promise<void> | undefined
  /** Shadow reads left out because as many as allowed were under way. */
  shadowDropped = 0
  plan: Plan
  readonly #planOptions: PlanOptions
  readonly #waiting = new Set<{ readonly epoch: number; readonly resolve: () => void }>()

  constructor(
    id: string,
    options: RuntimeOptions,
    env: Pick<RouterEnv, 'recorder'>,
    onChange: (runtime: MigrationRuntime) => void,
  ) {
    this.id = id
    this.options = options
    this.ledger = new EpochLedger(0, () => onChange(this))
    this.#planOptions = {
      handlers: options.handlers,
      recorder: env.recorder,
      // In two databases a commit can fail after the first: its key is repaired even with `fail`.
      repairs:
        options.independent !== undefined ||
        (options.transaction !== undefined && options.onSecondaryFailure === 'repair'),
    }
    this.plan = compilePlan(defaultConfig(id), this.ledger.current, this.#planOptions)
  }

  get paths(): readonly Path[] {
    return pathsOf(this.options.handlers)
  }

  get fenced(): boolean {
    return isFenced(this.options)
  }

  /** Operations that begin from now on follow this configuration. An older epoch than the held is ignored (I6). */
  apply(config: MigrationConfig): void {
    if (config.epoch < this.ledger.applied) return
    // Nothing can begin between the two: the server is told by the ledger, and no operation runs meanwhile.
    const slot = this.ledger.apply(config.epoch)
    this.plan = compilePlan(config, slot, this.#planOptions)
    for (const waiter of this.#waiting) {
      if (config.epoch <= waiter.epoch) continue
      this.#waiting.delete(waiter)
      waiter.resolve()
    }
  }

  /** Resolves when an epoch after this one has been applied; `abandon` ends the waiting. */
  newerThan(epoch: number): { readonly reached: Promise<void>; readonly abandon: () => void } {
    if (this.ledger.applied > epoch) return { reached: Promise.resolve(), abandon: () => undefined }
    let resolve: () => void = () => undefined
    const reached = new Promise<void>((done) => {
      resolve = done
    })
    const waiter = { epoch, resolve }
    this.#waiting.add(waiter)
    return { reached, abandon: () => this.#waiting.delete(waiter) }
  }

  /** The one text that hashes, locks and repairs of a key use. */
  textOf(value: unknown): string {
    return keyText(this.options.key(value))
  }

  handler(operation: MeasuredOperation, path: Path): Handler {
    const found = this.options.handlers[operation]?.[path]
    if (found !== undefined) return found
    throw new SwitchbackError(
      'missing-handlers',
      `${this.id} has no handler ${operation}.${path}, which epoch ${this.plan.epoch} (${this.plan.config.phase}) needs`,
      { retryable: false },
    )
  }
}
