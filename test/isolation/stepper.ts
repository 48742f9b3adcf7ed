import { setTimeout as pause } from 'node:timers/promises'

/** Which of `count` (at least two) goes next. */
export type Choose = (count: number, names: readonly string[]) => number

export interface StepOptions {
  /** What the trace says. */
  readonly label: string
  /** Whether taking the step now could have another outcome than before; asked whenever somebody is chosen. */
  readonly ready?: () => boolean
}

/** One of those whose steps are put in order. */
export interface Actor {
  readonly name: string
  /** Resolves when the scheduler lets this actor take its next step. */
  permit(step: StepOptions): Promise<void>
  /** Runs a statement of this actor on the backend `pid`, after a permit where it is a step. */
  run<T>(pid: number | undefined, step: StepOptions | undefined, statement: () => Promise<T>): Promise<T>
}

export interface Stepper {
  /** Transactions that have ended; what waits for them is looked at again only when this has grown. */
  ended: number
  /** Grows with every step; the time of this world. */
  readonly now: number
  /** Lets the actors take one step at a time until all are done. Returns the steps in their order. */
  run(
    bodies: ReadonlyMap<string, (actor: Actor) => Promise<void>>,
    choose: Choose,
  ): Promise<readonly string[]>
}

export interface StepperDeps {
  /** Backends that wait for a lock now. */
  readonly waiting: () => Promise<ReadonlySet<number>>
  /** Milliseconds without any movement after which a round counts as hung. */
  readonly patienceMs: number
}

interface Running {
  readonly actor: Actor
  gate: { readonly step: StepOptions; readonly open: () => void } | undefined
  done: boolean
  readonly inFlight: Map<number, number>
}

/** How long a statement may take before it is looked at whether it waits for a lock. */
const LOOK_AFTER_MS = 1

/**
 * Puts the statements of several actors in an order. A step is granted when everybody else stands still: at
 * its next step, ended, or waiting in PostgreSQL for a lock that somebody else holds.
 */
export function createStepper({ waiting, patienceMs }: StepperDeps): Stepper {
  let changes = 0
  let wake: () => void = () => undefined
  let changed = new Promise<void>((resolve) => {
    wake = resolve
  })
  const notify = (): void => {
    changes += 1
    wake()
    changed = new Promise<void>((resolve) => {
      wake = resolve
    })
  }
  const stepper = { ended: 0, now: 0 }

  const create = (name: string): Running => {
    const running: Running = {
      gate: undefined,
      done: false,
      inFlight: new Map(),
      actor: {
        name,
        permit: (step) =>
          new Promise((open) => {
            running.gate = { step, open }
            notify()
          }),
        run: async (pid, step, statement) => {
          if (step !== undefined) await running.actor.permit(step)
          if (pid === undefined) return statement()
          const { inFlight } = running
          inFlight.set(pid, (inFlight.get(pid) ?? 0) + 1)
          try {
            return await statement()
          } finally {
            const left = (inFlight.get(pid) ?? 1) - 1
            if (left === 0) inFlight.delete(pid)
            else inFlight.set(pid, left)
          }
        },
      },
    }
    return running
  }

  /** Resolves when nobody moves who could; false where those who wait for a lock are all that is left. */
  async function standstill(all: readonly Running[]): Promise<void> {
    let quietSince = performance.now()
    let seen = changes
    for (;;) {
      const moving = all.filter(({ done, gate }) => !done && gate === undefined)
      if (moving.length === 0) return
      if (seen !== changes) quietSince = performance.now()
      if (performance.now() - quietSince > patienceMs) {
        throw new Error(`no movement: ${moving.map(({ actor }) => actor.name).join(', ')}`)
      }
      seen = changes
      await Promise.race([changed, pause(LOOK_AFTER_MS)])
      if (seen !== changes) continue
      // Between two statements: what it waits for is not a lock, and comes by itself.
      if (moving.some(({ inFlight }) => inFlight.size === 0)) continue
      const blocked = await waiting()
      if (seen !== changes) continue
      const held = moving.every(({ inFlight }) => [...inFlight.keys()].some((pid) => blocked.has(pid)))
      // Where nobody else can go on, a deadlock or a time limit of PostgreSQL will end it.
      if (held && all.some(({ gate }) => gate !== undefined)) return
    }
  }

  async function run(
    bodies: ReadonlyMap<string, (actor: Actor) => Promise<void>>,
    choose: Choose,
  ): Promise<readonly string[]> {
    const trace: string[] = []
    const faults: unknown[] = []
    const all = [...bodies].map(([name, body]) => {
      const running = create(name)
      body(running.actor)
        .catch((error: unknown) => void faults.push(error))
        .finally(() => {
          running.done = true
          notify()
        })
      return running
    })
    for (;;) {
      await standstill(all)
      const gated = all.filter(({ gate }) => gate !== undefined)
      if (gated.length === 0) {
        if (all.every(({ done }) => done)) break
        continue
      }
      const ready = gated.filter(({ gate }) => gate?.step.ready?.() ?? true)
      // What waits in vain is let go: nobody else can make a difference.
      const enabled = ready.length > 0 ? ready : gated
      const index =
        enabled.length === 1
          ? 0
          : choose(
              enabled.length,
              enabled.map(({ actor }) => actor.name),
            )
      const chosen = enabled[index]
      const gate = chosen?.gate
      if (chosen === undefined || gate === undefined) throw new Error(`there is no actor ${index}`)
      chosen.gate = undefined
      stepper.now += 1
      trace.push(`${chosen.actor.name}: ${gate.step.label}`)
      gate.open()
    }
    if (faults.length > 0) throw Object.assign(new AggregateError(faults, String(faults[0])), { trace })
    return trace
  }

  return Object.assign(stepper, { run })
}
