import type { Blocker, MigrationDefinition, MigrationState, Refusal } from '@switchback/migrations-registry'
import type { Clock } from '../db/clock.ts'
import type { Command, CommandResult, PhaseService, StoredMigration } from './phase-service.ts'
import type { PhaseStore } from './phase-store.ts'

/** What a target says when it is told of a migration's state: that it knows a newer one, or does not. */
export type Remembered =
  | { readonly answered: true; readonly newer?: MigrationState }
  | { readonly answered: false }

export interface CompareDeps {
  readonly store: Pick<PhaseStore, 'life' | 'noteCompared'>
  readonly clock: Clock
  readonly remember: (migration: StoredMigration) => Promise<Remembered>
  readonly takeUp: (id: string, seen: MigrationState) => Promise<CommandResult>
}

/** A target that hangs fails after seconds: whoever asks right after that is told at once. */
const ASK_AGAIN_MS = 1_000

const databasesOf = ({ target, copy }: MigrationDefinition): string => `${target} ${copy?.toTarget ?? ''}`

/** Compares migrations with what their targets remember; see `PhaseService.compare`. */
export function createCompare(deps: CompareDeps): PhaseService['compare'] {
  const { store, clock, remember, takeUp } = deps
  /** When a target last did not answer. */
  const silent = new Map<string, number>()

  return async (migration) => {
    const { id } = migration.definition
    const databases = databasesOf(migration.definition)
    const ago = clock() - (silent.get(databases) ?? Number.NEGATIVE_INFINITY)
    // Below zero where the clock was set back, which must not make it last.
    if (ago >= 0 && ago < ASK_AGAIN_MS) return 'unknown'
    // Before the target is asked: a store that goes back meanwhile has another life when the answer is there.
    const life = await store.life()
    const answer = await remember(migration)
    if (!answer.answered) {
      silent.set(databases, clock())
      return 'unknown'
    }
    silent.delete(databases)
    if (answer.newer !== undefined) return (await takeUp(id, answer.newer)).ok ? 'taken-up' : 'moved'
    await store.noteCompared(life, id, migration.revision)
    return 'compared'
  }
}

/**
 * What may be asked of a migration that has not been compared: what holds work back, and takes no epoch. All else
 * leads to an epoch or to database work, and would start from a state that may be out of date.
 */
const ALWAYS: readonly Command['type'][] = ['pause', 'set-backfill', 'set-throttle', 'epoch-seen']

export const needsComparison = ({ type }: Command): boolean => !ALWAYS.includes(type)

export const notCompared = ({ id, target }: MigrationDefinition): Refusal => ({
  code: 'target-not-compared',
  message: `The store has been started again or restored, and target "${target}" has not answered since: whether what the store says of ${id} is the newest is not known, and an epoch could be given out twice.`,
  action: `See that the server reaches target "${target}", then ask again. Instances keep working as they are.`,
})

/** What the gate says of it. */
export function comparisonBlockers({
  definition,
  compared,
}: Pick<StoredMigration, 'definition' | 'compared'>): readonly Blocker[] {
  if (compared) return []
  const { message, action } = notCompared(definition)
  return [{ code: 'target-not-compared', subject: definition.target, message, action, forceable: false }]
}

export const wasBehind = ({ id }: MigrationDefinition): Refusal => ({
  code: 'store-was-behind',
  message: `The store was behind its target, and has taken up what the target knows of ${id}: it stands elsewhere than was seen when this was asked.`,
  action: 'Look at the migration, then ask again.',
})
