import type { InstanceFacts, MigrationState } from '@switchback/migrations-registry'
import { definitionSchema, initialState, transition } from '@switchback/migrations-registry'
import { expect, test } from 'vitest'
import { createPhaseService, type TargetFacts } from './create-phase-service.ts'
import type { StoredMigration } from './phase-service.ts'
import type { PhaseStore } from './phase-store.ts'

const definition = definitionSchema.parse({
  id: 'm',
  title: 'M',
  copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { v: 'v' } },
})

function dualWrite(): MigrationState {
  let state = initialState('m', 0)
  for (const event of [
    { type: 'advance', blockers: [], canary: [] },
    { type: 'work-done', kind: 'expand', epoch: 1 },
    { type: 'advance', blockers: [], canary: [] },
  ] as const) {
    const outcome = transition(state, event, { definition, now: 0, oldestLive: 0 })
    if (!outcome.ok) throw new Error(outcome.refusal.message)
    state = outcome.state
  }
  return state
}

/** A store of one migration in memory; who is out there is asked anew each time. */
function storeOf(state: MigrationState, instances: () => readonly InstanceFacts[]): PhaseStore {
  let migration: StoredMigration = {
    definition,
    sql: { expand: '' },
    source: '',
    checksum: '',
    state,
    revision: 1,
    compared: true,
  }
  return {
    list: async () => [migration],
    find: async () => migration,
    life: async () => 'this one',
    noteCompared: async () => {},
    tx: (work) =>
      work({
        lock: async () => migration,
        claim: async () => {},
        instances: async () => instances(),
        phasesOf: async () => new Map(),
        record: async () => migration.revision + 1,
        save: async (_id, next, revision) => {
          migration = { ...migration, state: next, revision }
        },
        insert: async () => {},
        openIncident: async () => {},
        openRefused: async ({ incident }) => ({ id: incident, isNew: true }),
        noteIncident: async () => {},
      }),
  }
}

test('a gate that opens between the look and the transaction is prepared anew, with the fence passed', async () => {
  const state = dualWrite()
  const instance: InstanceFacts = {
    id: 'a',
    app: 'app',
    version: '1',
    handlers: ['old', 'new'],
    fenced: true,
    applied: state.epoch,
    drained: state.epoch - 1,
    onLeaseExpired: 'hold',
    lastSeen: 0,
    leaseUntil: 10,
  }
  let now = 5
  const asked: string[] = []
  const target: TargetFacts = {
    remember: async () => ({ answered: true }),
    repairs: async () => {
      asked.push('repairs')
      return { old: 0, new: 0 }
    },
    failedRows: async () => 0,
    passFence: async (_migration, epoch) => {
      asked.push(`fence ${epoch}`)
      return []
    },
  }
  const phases = createPhaseService({
    // Live at the first look; by the time of the transaction its lease is over, and the fence stands for it.
    store: storeOf(state, () => {
      const facts = [instance]
      now += 10
      return facts.map((one) => ({ ...one, leaseUntil: now > 20 ? 10 : 100 }))
    }),
    clock: () => now,
    newId: () => 'id',
    target,
    announce: () => {},
  })
  const result = await phases.command('m', { type: 'advance' }, { name: 'ann' })
  expect(result).toMatchObject({
    ok: true,
    migration: { state: { phase: 'backfill', minimum: state.epoch } },
  })
  // Repairs are asked for again when nothing older can queue one any more.
  expect(asked).toEqual(['repairs', 'repairs', `fence ${state.epoch}`, 'repairs'])
})
