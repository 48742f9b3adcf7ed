/** Which declarations of migrations the server has taken. Each declaration makes a new generation. */
export interface Registrations {
  readonly declared: number
  /**
   * Begins a generation. `settled` settles with the first registration that covers it, `accepted` resolves
   * with the first that is taken: a refusal may be lifted later.
   */
  declare(): { readonly settled: Promise<void>; readonly accepted: Promise<void> }
  /** Settles with the newest generation. */
  ready(): Promise<void>
  accepted(generation: number): void
  refused(generation: number, error: Error): void
}

interface Waiter {
  readonly generation: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export function createRegistrations(): Registrations {
  let declared = 0
  let taken = -1
  let refusal: { readonly generation: number; readonly error: Error } | undefined
  const waiters = new Set<Waiter>()
  const acceptances = new Set<Pick<Waiter, 'generation' | 'resolve'>>()

  const until = (generation: number): Promise<void> => {
    if (taken >= generation) return Promise.resolve()
    if (refusal !== undefined && refusal.generation >= generation) return Promise.reject(refusal.error)
    return new Promise((resolve, reject) => waiters.add({ generation, resolve, reject }))
  }
  const settle = (generation: number, end: (waiter: Waiter) => void): void => {
    for (const waiter of waiters) {
      if (waiter.generation > generation) continue
      waiters.delete(waiter)
      end(waiter)
    }
  }
  return {
    get declared() {
      return declared
    },
    declare: () => {
      const generation = ++declared
      const accepted = new Promise<void>((resolve) => acceptances.add({ generation, resolve }))
      return { settled: until(generation), accepted }
    },
    ready: () => until(declared),
    accepted: (generation) => {
      taken = Math.max(taken, generation)
      refusal = undefined
      // First those that let operations through: whoever waits for `ready` finds the way open.
      for (const acceptance of acceptances) {
        if (acceptance.generation > generation) continue
        acceptances.delete(acceptance)
        acceptance.resolve()
      }
      settle(generation, (waiter) => waiter.resolve())
    },
    refused: (generation, error) => {
      refusal = { generation, error }
      taken = Math.min(taken, generation - 1)
      settle(generation, (waiter) => waiter.reject(error))
    },
  }
}
