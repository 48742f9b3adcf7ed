import { type EventOwner, EventQueue, type SimEvent } from './event-queue.ts'
import { SimProcess } from './process.ts'
import { createRandom, type Random } from './random.ts'

export interface WorldOptions {
  readonly seed: number
  /** Record what happens as lines of text; off unless a run is to be looked at. */
  readonly trace?: boolean
  /** What is due at the same time happens in the order in which it was asked for: for checks of the parts. */
  readonly inOrder?: boolean
}

export interface RunLimits {
  /** Virtual milliseconds at which the run ends. */
  readonly until?: number
  readonly maxEvents?: number
  /** Called when everything that an event set off has settled. What it throws ends the run. */
  readonly afterEach?: () => void
}

const RESOLVED = Promise.resolve()

/**
 * Virtual time and the one queue of everything that happens in it. Code under simulation is ordinary
 * asynchronous code that awaits only promises settled from here: between two events all of it has come to
 * rest, and the same seed gives the same run.
 */
export class World {
  /** Virtual milliseconds since the start. */
  now = 0
  /** Events that have happened. */
  steps = 0
  readonly random: Random
  readonly #queue = new EventQueue()
  readonly #lines: string[] | undefined
  #failure: { readonly error: unknown } | undefined
  #running = false
  readonly #inOrder: boolean
  #asked = 0

  constructor(options: WorldOptions) {
    this.random = createRandom(options.seed)
    this.#inOrder = options.inOrder === true
    this.#lines = options.trace === true ? [] : undefined
  }

  get trace(): readonly string[] {
    return this.#lines ?? []
  }

  /** Adds a line to the trace. The text is made only where somebody reads it. */
  note(who: string, what: () => string): void {
    if (this.#lines === undefined) return
    this.#lines.push(`${this.now.toFixed(3).padStart(12)}  ${who.padEnd(12)} ${what()}`)
  }

  process(name: string): SimProcess {
    return new SimProcess(this, name)
  }

  /** Lets `run` happen `delay` ms from now; what is due at the same time comes in an order of the seed's. */
  at(delay: number, run: () => void, owner?: EventOwner): SimEvent {
    const event: SimEvent = {
      time: this.now + delay,
      tie: this.#inOrder ? this.#asked++ : this.random.next(),
      run,
      owner,
      incarnation: owner?.incarnation ?? 0,
      cancelled: false,
    }
    this.#queue.push(event)
    return event
  }

  /** Puts back events that a stopped process could not take, in the order in which they were due. */
  replay(events: readonly SimEvent[]): void {
    events.forEach((event, index) => {
      event.time = this.now
      event.tie = (index + 1) / (events.length + 1)
      this.#queue.push(event)
    })
  }

  /** Ends the run with this error: something that no step of the simulation may do was done. */
  fail(error: unknown): void {
    this.#failure ??= { error }
  }

  /** Runs until nothing is left to happen, or a limit is reached. Can be called again to go on. */
  run(limits: RunLimits = {}): Promise<void> {
    if (this.#running) throw new Error('the world is running already')
    this.#running = true
    const until = limits.until ?? Number.POSITIVE_INFINITY
    const lastStep = this.steps + (limits.maxEvents ?? Number.POSITIVE_INFINITY)
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#running = false
        if (this.#failure === undefined) resolve()
        else reject(this.#failure.error)
      }
      const step = () => {
        try {
          if (this.#failure === undefined && this.steps < lastStep && this.#fireNext(until)) {
            void RESOLVED.then(afterAll)
            return
          }
        } catch (error) {
          this.fail(error)
        }
        end()
      }
      // A tick asked for by a microtask comes when no microtask is left: by then all code has come to rest.
      const afterAll = () => process.nextTick(settled)
      const settled = () => {
        try {
          limits.afterEach?.()
        } catch (error) {
          this.fail(error)
        }
        step()
      }
      process.nextTick(step)
    })
  }

  #fireNext(until: number): boolean {
    for (;;) {
      const event = this.#queue.pop()
      if (event === undefined) return false
      if (event.cancelled) continue
      if (event.time > until) {
        this.#queue.push(event)
        this.now = until
        return false
      }
      const { owner } = event
      if (owner !== undefined) {
        if (owner.incarnation !== event.incarnation) continue
        if (owner.stopped) {
          owner.missed(event)
          continue
        }
      }
      if (event.time > this.now) this.now = event.time
      this.steps++
      event.run()
      return true
    }
  }
}
