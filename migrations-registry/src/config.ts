import type { MigrationDefinition } from './definition.ts'
import type { Path } from './phases.ts'
import { type Routing, WRITE_ROUTES } from './routing.ts'
import type { MigrationState } from './state.ts'
import { currentRouting } from './state.ts'
import type { MigrationConfig } from './wire.ts'

/**
 * Paths whose served reads must ask for an open repair of their key first. A secondary write that failed
 * is acknowledged with its key queued for repair, so the path that does not lead may be behind for that
 * key: in `ramp` that is new, and after a revert from `promoted` it is old, until the gate to `backfill`
 * has found no repair of old open.
 */
export const guardedPaths = (state: MigrationState): readonly Path[] => currentRouting('', state).asks ?? []

/** Where triggers carry writes along, an instance writes one path alone: that which leads. */
export const toldRouting = (
  { writes }: Partial<Pick<MigrationDefinition, 'writes'>>,
  routing: Routing,
): Routing => (writes !== 'trigger' ? routing : { ...routing, write: WRITE_ROUTES[routing.write].leader })

/** What instances are told of a migration. */
export function configOf(definition: MigrationDefinition, state: MigrationState): MigrationConfig {
  const routing = toldRouting(definition, currentRouting(definition.id, state))
  const { alias } = definition.flags
  return {
    id: definition.id,
    epoch: state.epoch,
    phase: state.phase,
    write: routing.write,
    read:
      routing.read.kind === 'fixed' ? routing.read : { ...routing.read, canary: [...routing.read.canary] },
    backfill: state.backfillOn && !state.paused,
    fenced: definition.fence && state.phase !== 'planned',
    guarded: [...(routing.asks ?? [])],
    shadow: {
      sample: definition.shadow.sample,
      concurrency: definition.shadow.concurrency,
      timeout: definition.shadow.timeout,
    },
    ...(alias === undefined ? {} : { alias }),
  }
}

/** What an instance does for a migration that nobody has told it of: old alone, epoch 0. */
export const defaultConfig = (migration: string): MigrationConfig => ({
  id: migration,
  epoch: 0,
  phase: 'planned',
  write: 'old',
  read: { kind: 'fixed', variant: 'old' },
  backfill: false,
  // Tried, and skipped where the target has no fence yet: a start without server must not slip past it.
  fenced: true,
  guarded: [],
  shadow: { sample: 0, concurrency: 1, timeout: 1000 },
})
