import type { MigrationState } from '@switchback/migrations-registry'
import { currentRouting, isLive } from '@switchback/migrations-registry'
import type { PhaseStore, PhaseTx, StoredMigration } from '@switchback/server/protocol'
import type { SimProcess } from '../world/process.ts'
import type { Mutant } from './mutants.ts'

/** The mutants that break what the phase service is told, or what it commits. */
export function wrapStore(store: PhaseStore, process: SimProcess, mutant: Mutant | undefined): PhaseStore {
  if (mutant === undefined) return store
  if (mutant === 'commands-before-the-first-look') return withoutDoubt(store)
  const change: ((tx: PhaseTx) => Partial<PhaseTx>) | undefined = {
    'no-lease-wait': (tx: PhaseTx): Partial<PhaseTx> => ({
      instances: async (id, apps) =>
        (await tx.instances(id, apps)).filter((instance) => isLive(instance, process.clock())),
    }),
    'fence-enough-before-retired': (tx: PhaseTx): Partial<PhaseTx> => ({
      instances: async (id, apps) =>
        (await tx.instances(id, apps)).filter(
          (instance) => !instance.fenced || isLive(instance, process.clock()),
        ),
    }),
    'ramp-straight-to-expanded': (tx: PhaseTx): Partial<PhaseTx> => ({
      save: (id, state, revision, at) => tx.save(id, straightToExpanded(id, state), revision, at),
    }),
  }[mutant as string]
  if (change === undefined) return store
  return { ...store, tx: (work) => store.tx((tx) => work({ ...tx, ...change(tx) })) }
}

/** A store of which every state is believed. */
function withoutDoubt(store: PhaseStore): PhaseStore {
  const believed = <Found extends StoredMigration | undefined>(found: Found): Found =>
    found === undefined ? found : { ...found, compared: true }
  return {
    ...store,
    list: async () => (await store.list()).map(believed),
    find: async (id) => believed(await store.find(id)),
    tx: (work) => store.tx((tx) => work({ ...tx, lock: async (id) => believed(await tx.lock(id)) })),
  }
}

/** Where a revert of the reads is to be followed by one of the writes: both at once. */
function straightToExpanded(id: string, state: MigrationState): MigrationState {
  if (state.phase !== 'dual-write' || state.pending?.to !== 'expanded') return state
  const { pending: _, ...rest } = state
  const expanded: MigrationState = { ...rest, phase: 'expanded', complete: { old: true, new: false } }
  const history = expanded.history.map((record) =>
    record.epoch === state.epoch ? { ...record, routing: currentRouting(id, expanded) } : record,
  )
  return { ...expanded, history }
}
