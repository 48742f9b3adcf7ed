import type { MigrationDefinition } from '@switchback/migrations-registry'
import { keyText } from '../mapping/keyset.ts'
import { type SampleCompared, sampleKeys, waiting } from '../target/inspection.ts'
import { onBoth, underLocks } from './both.ts'
import { farDifferencesOf } from './compare-far.ts'
import { describeFarMapping, farPair, type Targets } from './pair.ts'

const TIMEOUT_MS = 20_000
/** So many keys are locked at once, so that no write waits for long. */
const LOCKED = 50

/**
 * Compares a sample of rows of old with new in its own database. No snapshot spans both, so what differs at
 * first is looked at again under the locks of its keys, where no write of it is half done.
 */
export async function compareSampleFar(
  targets: Targets,
  definition: MigrationDefinition,
  count: number,
): Promise<SampleCompared> {
  const mapping = await describeFarMapping(targets, definition)
  const pair = await farPair(targets, mapping, 'old')
  return onBoth(targets, AbortSignal.timeout(TIMEOUT_MS), async (on) => {
    const sampled = await sampleKeys(on.old, pair.old, count)
    const suspects = sampled.length === 0 ? [] : await farDifferencesOf(on, pair, sampled)
    const differing: string[] = []
    for (let i = 0; i < suspects.length; i += LOCKED) {
      const keys = suspects.slice(i, i + LOCKED).map(({ key }) => key)
      const standing = await underLocks(on, pair, keys, () => farDifferencesOf(on, pair, keys))
      differing.push(...standing.map(({ key }) => keyText(key)))
    }
    const queued = new Set([
      ...(await waiting(on.old, definition.id, differing)),
      ...(await waiting(on.new, definition.id, differing)),
    ])
    return { compared: sampled.length, differing: differing.filter((key) => !queued.has(key)) }
  })
}
