import { DbError } from './db-error.ts'
import type { SubTransaction } from './transaction.ts'
import type { Waiter } from './waiter.ts'

export type LockMode = 'shared' | 'exclusive'

interface Held {
  readonly backend: Waiter
  readonly mode: LockMode
  /** The transaction it ends with; undefined for a lock of the session. */
  readonly scope: SubTransaction | undefined
}

export interface Request {
  readonly backend: Waiter
  readonly mode: LockMode
  readonly scope: SubTransaction | undefined
  readonly granted: () => void
}

interface Lock {
  readonly held: Held[]
  readonly queue: Request[]
}

const conflicts = (a: LockMode, b: LockMode): boolean => a === 'exclusive' || b === 'exclusive'

/** PostgreSQL's advisory locks: a request does not overtake a waiting one that it conflicts with. */
export class AdvisoryLocks {
  readonly #locks = new Map<string, Lock>()

  tryLock(key: string, mode: LockMode, backend: Waiter, scope: SubTransaction | undefined): boolean {
    const lock = this.#lock(key)
    const own = lock.held.filter((held) => held.backend === backend)
    const free = lock.held.every((held) => held.backend === backend || !conflicts(held.mode, mode))
    const got = own.some((held) => held.mode === mode) || (free && this.#mayPass(lock, own, mode))
    if (got) lock.held.push({ backend, mode, scope })
    else this.#tidy(key, lock)
    return got
  }

  /** Queues for a lock that `tryLock` did not give. Returns how to give up waiting. */
  enqueue(key: string, request: Request): () => void {
    const lock = this.#lock(key)
    const own = lock.held.filter((held) => held.backend === request.backend)
    const ahead = lock.queue.findIndex((waiting) => this.#blocks(own, waiting))
    const waiting = lock.queue[ahead]
    if (waiting === undefined) {
      lock.queue.push(request)
    } else {
      // Each holds what the other waits for.
      if (lock.held.some((held) => held.backend === waiting.backend && conflicts(held.mode, request.mode))) {
        throw new DbError('40P01', 'deadlock detected')
      }
      lock.queue.splice(ahead, 0, request)
    }
    return () => {
      const at = lock.queue.indexOf(request)
      if (at < 0) return
      lock.queue.splice(at, 1)
      this.#grant(key, lock)
    }
  }

  /**
   * Names whom a request waits for: those ahead of it, from the nearest to the first that wants the lock for
   * itself, for that one waits for everybody before; where there is none, those who hold the lock as well.
   */
  blockers(key: string, waiting: Request, visit: (other: Waiter) => void): void {
    const lock = this.#locks.get(key)
    if (lock === undefined) return
    const { backend, mode } = waiting
    for (let at = lock.queue.indexOf(waiting) - 1; at >= 0; at--) {
      const other = lock.queue[at] as Request
      if (conflicts(other.mode, mode)) visit(other.backend)
      if (other.mode === 'exclusive') return
    }
    for (const other of lock.held) {
      if (other.backend !== backend && conflicts(other.mode, mode)) visit(other.backend)
    }
  }

  /** Releases one lock of the session; false where it does not hold it. */
  unlock(key: string, mode: LockMode, backend: Waiter): boolean {
    const lock = this.#locks.get(key)
    const at = lock?.held.findIndex(
      (held) => held.backend === backend && held.mode === mode && held.scope === undefined,
    )
    if (lock === undefined || at === undefined || at < 0) return false
    lock.held.splice(at, 1)
    this.#grant(key, lock)
    return true
  }

  /** Releases what this transaction, or this part of it, took. */
  releaseScope(scope: SubTransaction): void {
    this.#release((held) => held.scope?.within(scope) === true)
  }

  /** Releases everything that a backend holds, for it has ended. */
  releaseAll(backend: Waiter): void {
    this.#release((held) => held.backend === backend)
  }

  clear(): void {
    this.#locks.clear()
  }

  #release(gone: (held: Held) => boolean): void {
    for (const [key, lock] of this.#locks) {
      const before = lock.held.length
      for (let i = before - 1; i >= 0; i--) if (gone(lock.held[i] as Held)) lock.held.splice(i, 1)
      if (lock.held.length < before) this.#grant(key, lock)
    }
  }

  /** Whether a request need not queue behind those who wait: it agrees with them, or they wait for it anyway. */
  #mayPass(lock: Lock, own: readonly Held[], mode: LockMode): boolean {
    if (!lock.queue.some((waiting) => conflicts(waiting.mode, mode))) return true
    for (const waiting of lock.queue) {
      if (this.#blocks(own, waiting)) return true
      if (conflicts(waiting.mode, mode)) return false
    }
    return false
  }

  #blocks(own: readonly Held[], waiting: Request): boolean {
    return own.some((held) => conflicts(held.mode, waiting.mode))
  }

  /** Gives the lock to those in front, as far as they agree with the holders and with who waits before them. */
  #grant(key: string, lock: Lock): void {
    const passedOver: LockMode[] = []
    for (const request of [...lock.queue]) {
      const { backend, mode, scope } = request
      const free = lock.held.every((held) => held.backend === backend || !conflicts(held.mode, mode))
      if (!free || passedOver.some((other) => conflicts(other, mode))) {
        passedOver.push(mode)
        continue
      }
      lock.queue.splice(lock.queue.indexOf(request), 1)
      lock.held.push({ backend, mode, scope })
      request.granted()
    }
    this.#tidy(key, lock)
  }

  #lock(key: string): Lock {
    let lock = this.#locks.get(key)
    if (lock === undefined) {
      lock = { held: [], queue: [] }
      this.#locks.set(key, lock)
    }
    return lock
  }

  #tidy(key: string, lock: Lock): void {
    if (lock.held.length === 0 && lock.queue.length === 0) this.#locks.delete(key)
  }
}
