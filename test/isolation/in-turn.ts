import type { Actor } from './stepper.ts'

/** An actor that has several things to do at once, and does one after the other: a step is one statement. */
export function inTurn(actor: () => Actor | undefined): () => Actor | undefined {
  let last: Promise<unknown> = Promise.resolve()
  return () => {
    const present = actor()
    if (present === undefined) return undefined
    return {
      ...present,
      run: (pid, step, statement) => {
        const turn = last.then(() => present.run(pid, step, statement))
        last = turn.catch(() => undefined)
        return turn
      },
    }
  }
}
