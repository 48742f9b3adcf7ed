import type { InstanceFacts } from '@switchback/migrations-registry'
import { configOf, isLive, PHASE_TABLE } from '@switchback/migrations-registry'
import type { StoredMigration } from '../phases/phase-service.ts'

/** A migration as the API shows it. The history of routing stays inside: it is for the gate alone. */
export function migrationView({ definition, state, revision, checksum, compared }: StoredMigration) {
  const { history: _, ...shown } = state
  const { id, title } = definition
  return {
    id,
    title,
    revision,
    checksum,
    definition: { ...definition } as Readonly<Record<string, unknown>>,
    state: shown,
    config: configOf(definition, state),
    meaning: PHASE_TABLE[state.phase].meaning,
    compared,
  }
}

/** How far the fleet is with the present epoch. */
export function fleetSummary(instances: readonly InstanceFacts[], epoch: number, now: number) {
  const live = instances.filter((instance) => isLive(instance, now))
  return {
    instances: instances.length,
    live: live.length,
    applied: live.filter((instance) => instance.applied >= epoch).length,
    drained: live.filter((instance) => instance.drained >= epoch).length,
    lapsed: instances.filter((instance) => !isLive(instance, now)).map((instance) => instance.id),
  }
}
