import type { Transaction } from '../database/transaction.ts'
import type { Epochs } from './epochs.ts'
import type { ReadOp, SentWrite, Speaker, User } from './operations.ts'

/** Which epochs are in use at the moment: by processes, by operations in flight, and inside the target. */
export class InFlight {
  readonly apps: Speaker[] = []
  readonly #epochs: Epochs
  readonly #minimum: () => number
  /** Transactions that have been let in, with the oldest epoch that they are of. */
  readonly #letIn = new Map<Transaction, { readonly epoch: number; readonly app: string }>()
  /** Writes that have been sent off and may be let in. */
  readonly #sent = new Set<SentWrite>()
  readonly #reads = new Set<ReadOp>()

  /** `minimum` is the fence's: below it nobody is let in any more. */
  constructor(epochs: Epochs, minimum: () => number) {
    this.#epochs = epochs
    this.#minimum = minimum
  }

  sent(token: SentWrite): void {
    this.#sent.add(token)
  }

  over(token: SentWrite): void {
    this.#sent.delete(token)
  }

  /** Whether the process that has sent a write of this epoch off is there to go on with it. */
  isAwaited(app: string, epoch: number): boolean {
    for (const token of this.#sent) if (token.app.name === app && token.epoch === epoch) return true
    return false
  }

  letIn(tx: Transaction, app: string, epoch: number): void {
    const before = this.#letIn.get(tx)
    if (before === undefined || epoch < before.epoch) this.#letIn.set(tx, { epoch, app })
  }

  readBegins(read: ReadOp): void {
    this.#reads.add(read)
  }

  readEnded(read: ReadOp): void {
    this.#reads.delete(read)
  }

  /** Epoch of the oldest read that is in flight in a process. */
  oldestRead(app: Speaker): number | undefined {
    const epochs = [...this.#reads].filter((read) => read.app === app).map(({ epoch }) => epoch)
    return epochs.length === 0 ? undefined : Math.min(...epochs)
  }

  /** Whether a transaction of this process is open in the target. */
  hasOpen(app: string): boolean {
    for (const [tx, entry] of this.#letIn) if (tx.active && entry.app === app) return true
    return false
  }

  /** The target was killed: nothing that was open there can still commit. */
  targetCrashed(): void {
    this.#letIn.clear()
  }

  /** The process is gone, and what it had in flight with it. */
  gone(app: Speaker): void {
    this.giveUpReads(app)
    for (const token of this.#sent) if (token.app === app) this.#sent.delete(token)
  }

  /** Reads that were under way when its lease was over are refused at their end, also where it has one again. */
  giveUpReads(app: Speaker): void {
    for (const read of this.#reads) if (read.app === app) this.#reads.delete(read)
  }

  forgetEnded(): void {
    for (const tx of this.#letIn.keys()) if (!tx.active) this.#letIn.delete(tx)
  }

  readers(): User[] {
    const users: User[] = []
    for (const app of this.apps) {
      if (isAble(app)) users.push({ epoch: app.applied, as: 'process', of: app.name })
    }
    for (const { app, epoch } of this.#reads) {
      if (!app.halted) users.push({ epoch, as: 'read', of: app.name })
    }
    return users
  }

  /** Who has been let in, and who may be. */
  writers(): User[] {
    const minimum = this.#minimum()
    const may = (app: Speaker, epoch: number) =>
      epoch >= minimum || !app.fenced || !this.#epochs.fenced(epoch)
    const users: User[] = []
    for (const app of this.apps) {
      if (isAble(app) && may(app, app.applied)) {
        users.push({ epoch: app.applied, as: 'process', of: app.name })
      }
    }
    for (const { app, epoch } of this.#sent) {
      if (may(app, epoch)) users.push({ epoch, as: 'write', of: app.name })
    }
    for (const [tx, { epoch, app }] of this.#letIn) {
      if (tx.active) users.push({ epoch, as: 'transaction', of: app })
    }
    return users
  }
}

const isAble = (app: Speaker): boolean => app.atWork && !app.halted
