import type { PhaseStore, PhaseTx } from '@switchback/server/protocol'

/** More than a revert needs of the store: it reads, locks, judges and writes once. */
export const REVERT_ASKS = 12

/** A store that tells of every question. */
export function countAsks(store: PhaseStore, asked: () => void): PhaseStore {
  const counted =
    <Args extends unknown[], Result>(run: (...args: Args) => Result) =>
    (...args: Args): Result => {
      asked()
      return run(...args)
    }
  return {
    list: counted(store.list),
    find: counted(store.find),
    life: counted(store.life),
    noteCompared: counted(store.noteCompared),
    tx: (work) =>
      store.tx((tx) => {
        const entries = Object.entries(tx).map(([name, run]) => [name, counted(run as () => unknown)])
        return work(Object.fromEntries(entries) as PhaseTx)
      }),
  }
}
