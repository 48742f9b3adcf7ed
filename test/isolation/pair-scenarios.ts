import type { MigrationConfig } from '@switchback/migrations-registry'
import type { Execution } from '@switchback/server'
import { configOf, definition } from './migration.ts'
import { orderOf, type Scenario } from './round.ts'
import * as one from './scenarios.ts'

const OLD = configOf(1, 'dual-old')
const GUARDED = configOf(1, 'dual-old', 'new-shadow', { guarded: ['new'] })
const backfill = (execution: Execution): Promise<unknown> => execution.run('backfill', orderOf(1))
const verify = (execution: Execution): Promise<unknown> => execution.run('verify', orderOf(1))
/** The engine looks from time to time. */
const repair = async (execution: Execution): Promise<void> => {
  for (let look = 0; look < 2; look++) await execution.repairSome(definition, 10)
}

/** Scenarios of one database that mean the same where there are two. */
export const colliding = one.colliding
export const removedWhileCopied = one.removedWhileCopied
export const changedWhileOverwritten = one.changedWhileOverwritten
export const shared: readonly Scenario[] = [
  one.changedWhileCopied,
  one.copying,
  one.copyingAgain,
  one.changing,
  one.repairing,
  one.leading('new'),
  one.leading('old'),
]

/**
 * Verification with its repairs beside writers and the repair worker. No snapshot spans two databases: what is
 * written between its two checksums may hide a difference, so that the next pass has to find it.
 */
export const verifying: Scenario = { ...one.verifying, equalAtOnce: false }

/** The same over paths that were made equal before: here it has nothing to miss, and nothing to spoil. */
export const verifyingEqual: Scenario = {
  ...one.verifying,
  name: 'verification and writers over paths that are equal',
  initial: { old: { 1: 'first', 2: 'second' }, new: { 1: 'first', 2: 'second' } },
}

/** A process dies between its two commits, while others write the key, read it and repair it. */
export const dying: Scenario = {
  name: 'a death between the commits, another writer, a reader of new and a repair worker',
  initial: { old: { 1: 'first' }, new: { 1: 'first' } },
  equalAtOnce: true,
  leader: 'old',
  config: GUARDED,
  cast: (round) => {
    round.writer(round.client('dying', GUARDED, { dying: 'new' }), (to) => to.put(1, 'a'))
    round.writer(round.client('b', GUARDED), (to) => to.remove(1))
    round.writer(
      round.client('reader', GUARDED),
      (to) => to.read(1),
      (to) => to.read(1),
    )
    round.engine('repair', repair)
  },
}

/** A death, and a reader of the path that it leaves behind. */
export const dyingBeforeReader: Scenario = {
  ...dying,
  name: 'a death between the commits and a reader of new',
  cast: (round) => {
    round.writer(round.client('dying', GUARDED, { dying: 'new' }), (to) => to.put(1, 'a'))
    round.writer(
      round.client('reader', GUARDED),
      (to) => to.read(1),
      (to) => to.read(1),
    )
  },
}

/** Nobody dies: an intent is taken for left over while its write is in progress. */
export const hasty: Scenario = {
  name: 'two writers, a reader of new and a repair worker that takes them for dead',
  initial: { old: { 1: 'first' }, new: { 1: 'first' } },
  equalAtOnce: true,
  leader: 'old',
  config: GUARDED,
  cast: (round) => {
    round.writer(round.client('a', GUARDED), (to) => to.put(1, 'a'))
    round.writer(round.client('b', GUARDED, { failing: { path: 'new', key: 1 } }), (to) => to.put(1, 'b'))
    round.writer(
      round.client('reader', GUARDED),
      (to) => to.read(1),
      (to) => to.read(1),
    )
    round.engine('repair', repair)
  },
}

/** A delete that new has missed is repaired while the key is written again. */
export const repairingOne: Scenario = {
  name: 'a failed delete in new, its repair, and a writer of the same key',
  initial: { old: { 1: 'first' }, new: { 1: 'first' } },
  equalAtOnce: true,
  leader: 'old',
  config: GUARDED,
  cast: (round) => {
    round.writer(round.client('failing', GUARDED, { failing: { path: 'new', key: 1 } }), (to) => to.remove(1))
    round.writer(round.client('b', GUARDED), (to) => to.put(1, 'b'))
    round.engine('repair', repair)
  },
}

/** A death in history's way: the backfill copies the key whose second commit never came. */
export const dyingWhileCopied: Scenario = {
  name: 'a death between the commits and a backfill',
  initial: { old: { 1: 'first', 2: 'second' }, new: {} },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(round.client('dying', OLD, { dying: 'new' }), (to) => to.put(1, 'a'))
    round.writer(round.client('b', OLD), (to) => to.remove(2))
    round.engine('backfill', backfill)
    round.engine('repair', repair)
  },
}

/** Verification meets what a death has left; the key is in the queue or equal, whatever it does. */
export const dyingWhileVerified: Scenario = {
  name: 'a death between the commits and a verification',
  initial: { old: { 1: 'first' }, new: { 1: 'first' } },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(round.client('dying', OLD, { dying: 'new' }), (to) => to.put(1, 'a'))
    round.writer(round.client('b', OLD), (to) => to.put(1, 'b'))
    round.engine('verify', verify)
    round.engine('repair', repair)
  },
}

/** The lead changes over a key that a death has left behind; who leads next must not be the one that is. */
export const dyingWhileLeading = (to: 'new' | 'old'): Scenario => {
  const guarded: Partial<MigrationConfig> = { guarded: ['old', 'new'] }
  const [before, after] =
    to === 'new' ? (['dual-old', 'dual-new'] as const) : (['dual-new', 'dual-old'] as const)
  const first = configOf(1, before, to === 'new' ? 'new-shadow' : 'old-shadow', guarded)
  const second = configOf(2, after, to === 'new' ? 'new-shadow' : 'old-shadow', guarded)
  return {
    name: `a death between the commits while the lead goes to ${to}`,
    initial: { old: { 1: 'first' }, new: { 1: 'first' } },
    equalAtOnce: true,
    leader: to,
    config: second,
    cast: (round) => {
      const b = round.client('b', first)
      round.writer(round.client('dying', first, { dying: to }), (client) => client.put(2, 'a'))
      round.writer(
        b,
        (client) => client.remove(1),
        (client) => client.change(2, 'b'),
        (client) => client.change(2, 'c'),
      )
      round.actor('server', async (actor) => {
        await actor.permit({ label: 'tells b of epoch 2' })
        b.apply(second)
      })
      round.engine('repair', repair)
    },
  }
}

/** The way back from `retired`: the fence of both databases is passed before old is brought up. */
export const reverting: Scenario = {
  name: 'from retired back to promoted, with the reverse backfill',
  initial: { old: { 1: 'first' }, new: { 1: 'changed since', 2: 'only here' } },
  equalAtOnce: true,
  leader: 'new',
  config: configOf(2, 'dual-new', 'new'),
  cast: (round) => {
    const late = round.client('late', configOf(1, 'new', 'new'))
    round.writer(
      late,
      (to) => to.put(1, 'late'),
      (to) => to.remove(2),
    )
    const prompt = round.client('prompt', configOf(2, 'dual-new', 'new'))
    round.writer(prompt, (to) => to.put(2, 'b'))
    round.engine('engine', async (execution, actor) => {
      await round.passFence(execution, 2)
      await execution.run('reverse-backfill', orderOf(2))
      await actor.permit({ label: 'tells late of epoch 2' })
      late.apply(configOf(2, 'dual-new', 'new'))
    })
  },
}

/** A key that only new has is written again while verification takes it away. */
export const verifyingWritten: Scenario = {
  name: 'verification of a key that is written again',
  initial: { old: {}, new: { 1: 'ghost' } },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(round.client('a', OLD), (to) => to.put(1, 'again'))
    round.engine('verify', verify)
  },
}
