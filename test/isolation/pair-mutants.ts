import { ENTER_WITHOUT_FENCE, type Mutant } from './mutants.ts'
import * as scenarios from './pair-scenarios.ts'

const levels = ['read committed'] as const

/** The lock of a key, as the engine takes it. */
const withoutKeyLock = (text: string): string =>
  text.replace('switchback.lock_key($1, key)', '$1::text || key')
/** Whether a path is behind; never. */
const nothingOpen = (text: string): string =>
  text.replace(/(switchback\.repair_open\([^)]*\)) AS open/, '($1 and false) AS open')

/** Independent mode without one of its guards. */
export const PAIR_MUTANTS: readonly Mutant[] = [
  {
    name: 'no intent is written',
    scenario: scenarios.dyingBeforeReader,
    levels,
    application: (text) => text.replace(/^SELECT switchback\.write_intent\(.*\); COMMIT$/, 'COMMIT'),
  },
  {
    name: 'the intent is removed before the second commit',
    scenario: scenarios.dyingBeforeReader,
    levels,
    half: (port) => ({
      ...port,
      beginHalf: async (guard, question) => {
        const half = await port.beginHalf(guard, question)
        return {
          ...half,
          commitWithIntent: async (intent) => {
            const token = await half.commitWithIntent(intent)
            await port.clearIntent(token)
            return token
          },
        }
      },
    }),
  },
  {
    name: 'reads do not ask whether their path is behind',
    scenario: scenarios.dyingBeforeReader,
    levels,
    application: (text) => (text.startsWith('SELECT') ? nothingOpen(text) : text),
  },
  {
    name: 'a leader that is behind leads',
    scenario: scenarios.dyingWhileLeading('new'),
    levels,
    application: (text) => (text.startsWith('BEGIN') ? nothingOpen(text) : text),
  },
  {
    name: 'dual operations do not lock their key',
    scenario: scenarios.colliding,
    levels,
    application: (text) => text.replace(/("enter:[^"]+"\(\d+, )'[^']*'\)/, '$1null)'),
  },
  {
    name: 'a key is repaired without its lock',
    scenario: scenarios.repairingOne,
    levels,
    engine: withoutKeyLock,
  },
  {
    name: 'verification looks again without the lock of the key',
    scenario: scenarios.verifyingWritten,
    levels,
    engine: withoutKeyLock,
  },
  {
    name: 'source rows are not locked while they are copied',
    scenario: scenarios.changedWhileOverwritten,
    levels,
    engine: (text) => text.replace(/for no key update of \S+/, ''),
  },
  { name: 'there is no fence', scenario: scenarios.reverting, levels, sql: ENTER_WITHOUT_FENCE },
]
