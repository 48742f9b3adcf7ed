import type { EventOwner, SimEvent } from './event-queue.ts'
import type { Random } from './random.ts'

/** What a process needs of the world that it lives in. */
export interface Surroundings {
  readonly now: number
  readonly random: Random
  at(delay: number, run: () => void, owner?: EventOwner): SimEvent
  note(who: string, what: () => string): void
  /** Ends the run with this error. */
  fail(error: unknown): void
  replay(events: readonly SimEvent[]): void
}

/**
 * A process under simulation. Everything that its code awaits is settled by events in its name: after a
 * crash they are dropped, so that no continuation of the crashed incarnation ever runs again.
 */
export class SimProcess implements EventOwner {
  readonly name: string
  readonly world: Surroundings
  /** Up with every crash and every start. */
  incarnation = 1
  up = true
  stopped = false
  /** How far its clock is off, in ms. */
  skew = 0
  #missed: SimEvent[] = []
  #onCrash = new Set<() => void>()

  constructor(world: Surroundings, name: string) {
    this.world = world
    this.name = name
  }

  /** What this process takes for the time, in whole milliseconds. */
  readonly clock = (): number => Math.floor(this.world.now + this.skew)

  /** Lets `run` happen in the name of this process. */
  at(delay: number, run: () => void): SimEvent {
    return this.world.at(delay, run, this)
  }

  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly delay = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal === undefined) return void this.at(ms, resolve)
      if (signal.aborted) return resolve()
      const leave = () => {
        signal.removeEventListener('abort', onAbort)
        forget()
      }
      const timer = this.at(ms, () => {
        leave()
        resolve()
      })
      const onAbort = () => {
        timer.cancelled = true
        leave()
        resolve()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      // A combined signal that somebody listens to is kept for ever, and with it the whole run.
      const forget = this.onCrash(leave)
    })

  /** Calls `run` every `ms` until the returned function is called or the process crashes. */
  readonly every = (ms: number, run: () => void): (() => void) => {
    const beat = () => {
      timer = this.at(ms, beat)
      run()
    }
    let timer = this.at(ms, beat)
    return () => {
      timer.cancelled = true
    }
  }

  /** Called at the crash of the present incarnation. */
  onCrash(listener: () => void): () => void {
    this.#onCrash.add(listener)
    return () => this.#onCrash.delete(listener)
  }

  /** kill -9. */
  crash(): void {
    if (!this.up) return
    this.world.note(this.name, () => 'crashes')
    this.up = false
    this.stopped = false
    this.incarnation++
    this.#missed = []
    const listeners = [...this.#onCrash]
    this.#onCrash.clear()
    for (const listener of listeners) listener()
  }

  /** Starts a new incarnation with `main`. */
  restart(main: () => void): void {
    if (this.up) throw new Error(`${this.name} is up`)
    // Once more, so that what was meant for nobody while it was down does not reach the new incarnation.
    this.incarnation++
    this.up = true
    this.world.note(this.name, () => `starts (incarnation ${this.incarnation})`)
    this.at(0, main)
  }

  /** SIGSTOP: what comes meanwhile waits. */
  stop(): void {
    if (!this.up) return
    this.world.note(this.name, () => 'is stopped')
    this.stopped = true
  }

  /** SIGCONT. */
  cont(): void {
    if (!this.stopped) return
    this.world.note(this.name, () => 'goes on')
    this.stopped = false
    const missed = this.#missed
    this.#missed = []
    this.world.replay(missed)
  }

  missed(event: SimEvent): void {
    this.#missed.push(event)
  }
}
