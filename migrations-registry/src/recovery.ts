import { type MigrationDefinition, tripwiresOf } from './definition.ts'
import { judgeMeasured } from './judge-measured.ts'
import { READ_ROUTES, WRITE_ROUTES } from './routing.ts'
import { currentRouting, type MigrationState } from './state.ts'
import type { Judgement, TripwireFacts } from './verdict.ts'

/** Whether old serves again after new has led: then old must be shown to hold every acknowledged write. */
export const isRestingOnOld = (state: MigrationState): boolean =>
  state.phase === 'dual-write' && state.from === 'promoted'

/**
 * Whether the path that serves after a revert is back under the limits of the tripwires for errors. Undefined
 * where there is nothing to go by: no such tripwire, or nobody who could be measured.
 */
export function judgeRecovery(
  definition: MigrationDefinition,
  state: MigrationState,
  facts: TripwireFacts,
): Judgement | undefined {
  if (facts.live === 0) return undefined
  const { read, write } = currentRouting(definition.id, state)
  const path = read.kind === 'fixed' ? READ_ROUTES[read.variant].served : WRITE_ROUTES[write].leader
  const judgements = tripwiresOf(definition).flatMap((tripwire) => {
    if (tripwire.watch !== 'error-rate' || typeof tripwire.above !== 'number') return []
    const asked = { ...tripwire, path, for: 1 }
    return [judgeMeasured(asked, ['read', 'write'], state, facts)]
  })
  const of = (outcome: Judgement['outcome']) => judgements.find((judgement) => judgement.outcome === outcome)
  return of('breach') ?? of('fine') ?? judgements[0]
}
