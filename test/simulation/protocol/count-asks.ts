import type { PhaseStore, PhaseTx } from '@switchback/server/protocol'

/**
 * All that a revert needs of the store once the migration has been compared: it finds it, asks for instances and
 * dependencies to see whether old is current, and in one transaction locks, asks for both again, records, saves
 * and opens its incident.
 */
const REVERT_ASKS = 9

/**
 * All that a comparison needs after which the revert goes on: it finds, asks for the life of the store, and notes.
 * Where the target knows of a newer state which another comparison has taken up meanwhile, it finds, locks and asks
 * for instances and dependencies instead, and is refused. What it takes up itself ends the revert.
 */
const COMPARISON_ASKS = 6

/**
 * A store that tells when a revert asks for more than it needs. It may compare again only where the migration is
 * found at another revision than before, so each comparison but the first stands for a step that somebody else has
 * taken meanwhile. A store that is put back would be one more; the servers are down then, and reverts with them.
 */
export function countAsks(store: PhaseStore, tooMuch: (what: string) => void): PhaseStore {
  let asks = 0
  let found: number | undefined
  const compared = new Set<number | undefined>()
  const asked = () => {
    if (++asks > REVERT_ASKS + compared.size * COMPARISON_ASKS) {
      tooMuch(`has asked the store ${asks} times, compared ${compared.size} times, and is not committed`)
    }
  }
  const counted =
    <Args extends unknown[], Result>(run: (...args: Args) => Result) =>
    (...args: Args): Result => {
      asked()
      return run(...args)
    }
  return {
    list: counted(store.list),
    find: async (id) => {
      asked()
      const migration = await store.find(id)
      found = migration?.revision
      return migration
    },
    life: () => {
      if (compared.has(found)) tooMuch(`compares again what it has compared at revision ${found}`)
      compared.add(found)
      asked()
      return store.life()
    },
    noteCompared: counted(store.noteCompared),
    tx: (work) =>
      store.tx((tx) => {
        const entries = Object.entries(tx).map(([name, run]) => [name, counted(run as () => unknown)])
        return work(Object.fromEntries(entries) as PhaseTx)
      }),
  }
}
