import type { InstanceFacts, MigrationState } from '@switchback/migrations-registry'
import { definitionSchema, initialState } from '@switchback/migrations-registry'
import { expect, it } from 'vitest'
import { createPhaseService } from './create-phase-service.ts'
import type { StoredMigration } from './phase-service.ts'
import type { PhaseStore, PhaseTx } from './phase-store.ts'

const definition = definitionSchema.parse({
  id: 'm',
  title: 't',
  copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { c: 'c' } },
})
const dualWrite: MigrationState = {
  ...initialState('m', 0),
  phase: 'dual-write',
  epoch: 3,
  history: [2, 3].map((epoch) => ({
    epoch,
    routing: { write: 'dual-old', asks: [], read: { kind: 'fixed', variant: 'old' } },
    fenced: true,
  })),
}
const straggler = (leaseUntil: number): InstanceFacts => ({
  id: 'a',
  app: 'app',
  version: '1',
  leaseUntil,
  lastSeen: 0,
  handlers: ['old', 'new'],
  onLeaseExpired: 'hold',
  applied: 2,
  drained: 2,
  fenced: true,
})

/** A store with one migration, in which the lease of its one instance lapses after it was looked at once. */
function storeWithLapse(): {
  store: PhaseStore
  saved: () => MigrationState
  set: (state: MigrationState) => void
} {
  let migration: StoredMigration = {
    definition,
    sql: { expand: '' },
    source: '',
    checksum: '',
    state: dualWrite,
    revision: 1,
    compared: true,
  }
  let asked = 0
  const tx: PhaseTx = {
    lock: async () => migration,
    claim: async () => {},
    instances: async () => [straggler(asked++ === 0 ? 1_000_000 : 1)],
    phasesOf: async () => new Map(),
    record: async () => migration.revision + 1,
    save: async (_id, state, revision) => {
      migration = { ...migration, state, revision }
    },
    insert: async () => {},
    openIncident: async () => {},
    openRefused: async ({ incident }) => ({ id: incident, isNew: true }),
    noteIncident: async () => {},
  }
  return {
    store: {
      list: async () => [migration],
      find: async () => migration,
      life: async () => 'this one',
      noteCompared: async () => {},
      tx: (work) => work(tx),
    },
    saved: () => migration.state,
    set: (state) => {
      migration = { ...migration, state, revision: migration.revision + 1 }
    },
  }
}

function phasesWithLapse() {
  const { store, saved, set } = storeWithLapse()
  const passed: number[] = []
  const phases = createPhaseService({
    store,
    clock: () => 5000,
    newId: (prefix) => prefix,
    target: {
      remember: async () => ({ answered: true }),
      repairs: async () => ({ old: 0, new: 0 }),
      failedRows: async () => 0,
      passFence: async (_migration, epoch) => {
        passed.push(epoch)
        return []
      },
    },
    announce: () => {},
  })
  return { phases, saved, passed, set, store }
}

it('never takes a step without having passed the fence, also where the gate opens between two looks', async () => {
  const { phases, saved, passed } = phasesWithLapse()
  // Closed at the first look: the instance is live and has not drained. Open in the transaction: it has lapsed,
  // and only the fence keeps its writes out.
  expect(await phases.command('m', { type: 'advance' }, { name: 'ann' })).toMatchObject({ ok: true })
  expect(saved()).toMatchObject({ phase: 'backfill', epoch: 4, minimum: 3 })
  expect(passed).toEqual([3])
})

it('takes one step for one that is asked for twice at the same epoch', async () => {
  const { phases } = phasesWithLapse()
  const ann = { name: 'ann' }
  const asked = { type: 'advance', epoch: 3 } as const
  expect(await phases.command('m', asked, ann)).toMatchObject({ ok: true })
  expect(await phases.command('m', asked, ann)).toMatchObject({
    ok: false,
    refusal: {
      code: 'moved-on',
      message: 'm stands at backfill, epoch 4; the step was to be taken at epoch 3.',
    },
  })
  // At the present one it is the gate that decides.
  expect(await phases.command('m', { ...asked, epoch: 4 }, ann)).toMatchObject({
    ok: false,
    refusal: { code: 'gate-closed' },
  })
})

it('tells of a migration and its gate as of one state, also where it moves on meanwhile', async () => {
  const { phases, store, set } = phasesWithLapse()
  const find = store.find
  // Somebody takes a step right after each look.
  store.find = async (id) => {
    const found = await find(id)
    set({ ...dualWrite, phase: 'backfill', epoch: 4 })
    return found
  }
  const looked = await phases.look('m')
  expect([looked?.migration.state.phase, looked?.gate.next]).toEqual([
    'dual-write',
    { kind: 'phase', to: 'backfill' },
  ])
})
