import type { Execution } from '@switchback/server'
import { configOf, definition } from './migration.ts'
import { orderOf, type Scenario } from './round.ts'

const OLD = configOf(1, 'dual-old')
const backfill = (execution: Execution): Promise<unknown> => execution.run('backfill', orderOf(1))
const verify = (execution: Execution): Promise<unknown> => execution.run('verify', orderOf(1))
/** The engine looks from time to time. */
const repair = async (execution: Execution): Promise<void> => {
  for (let look = 0; look < 2; look++) await execution.repairSome(definition, 10)
}

/** Two operations on one key, with nothing else at work. Small enough to go through every order. */
export const colliding: Scenario = {
  name: 'an insert and a delete',
  initial: { old: {}, new: {} },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(round.client('putter', OLD), (to) => to.put(1, 'a'))
    round.writer(round.client('remover', OLD), (to) => to.remove(1))
  },
}

/** The same key is removed while it is copied. Small enough to go through every order. */
export const removedWhileCopied: Scenario = {
  name: 'a delete and a backfill',
  initial: { old: { 1: 'first' }, new: {} },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(round.client('remover', OLD), (to) => to.remove(1))
    round.engine('backfill', backfill)
  },
}

/** The same key is changed while it is copied. */
export const changedWhileCopied: Scenario = {
  name: 'an update and a backfill',
  initial: { old: { 1: 'first' }, new: {} },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(round.client('writer', OLD), (to) => to.put(1, 'a'))
    round.engine('backfill', backfill)
  },
}

/** The same, over a row that an earlier copy has left: what is overwritten must not be newer. */
export const changedWhileOverwritten: Scenario = {
  ...changedWhileCopied,
  name: 'an update and a backfill over what an earlier one has left',
  initial: { old: { 1: 'first' }, new: { 1: 'stale' } },
}

/** An update that changes nothing where new has no row yet: what is filled meanwhile has to be looked at again. */
export const updatedWhileFilled: Scenario = {
  ...changedWhileCopied,
  name: 'a plain update and a backfill of an empty range',
  cast: (round) => {
    round.writer(round.client('writer', OLD), (to) => to.change(1, 'a'))
    round.engine('backfill', backfill)
  },
}

/** The same twice: the second update meets the look at what the first one has left. */
export const updatedTwiceWhileFilled: Scenario = {
  ...changedWhileCopied,
  name: 'two plain updates and a backfill of an empty range',
  cast: (round) => {
    round.writer(
      round.client('writer', OLD),
      (to) => to.change(1, 'a'),
      (to) => to.change(1, 'b'),
    )
    round.engine('backfill', backfill)
  },
}

/** Hot keys are inserted, updated, removed and written again while they are copied and swept. */
export const copying: Scenario = {
  name: 'three writers and a backfill',
  initial: { old: { 1: 'first', 2: 'second' }, new: {} },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(
      round.client('a', OLD),
      (to) => to.put(1, 'a'),
      (to) => to.remove(2),
    )
    round.writer(
      round.client('b', OLD),
      (to) => to.remove(1),
      (to) => to.put(1, 'b'),
    )
    round.writer(round.client('c', OLD), (to) => to.put(3, 'c'))
    round.engine('backfill', backfill)
  },
}

/** What a backfill under such handlers leaves apart, verification finds: an update sees no row to change. */
export const verifying: Scenario = {
  name: 'verification, writers and a repair worker over paths that differ',
  initial: { old: { 1: 'first', 2: 'second' }, new: { 1: 'other', 3: 'ghost' } },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(
      round.client('a', OLD),
      (to) => to.put(1, 'a'),
      (to) => to.remove(2),
    )
    round.writer(round.client('b', OLD, { failing: { path: 'new', key: 3 } }), (to) => to.put(3, 'b'))
    round.engine('verify', verify)
    round.engine('repair', repair)
  },
}

/** Updates that change nothing where there is no row, as an ORM sends them: verification has the last word. */
export const changing: Scenario = {
  name: 'updates of rows that are being copied',
  initial: { old: { 1: 'first', 2: 'second' }, new: {} },
  equalAtOnce: false,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(
      round.client('a', OLD),
      (to) => to.change(1, 'a'),
      (to) => to.change(2, 'a'),
    )
    round.writer(round.client('b', OLD), (to) => to.remove(1))
    round.engine('backfill', backfill)
  },
}

/** Secondary failures with the repair worker at its work; a reader is served from the path that is behind. */
export const repairing: Scenario = {
  name: 'failures of new, a repair worker and a reader of new',
  initial: { old: { 1: 'first' }, new: { 1: 'first' } },
  equalAtOnce: true,
  leader: 'old',
  config: configOf(1, 'dual-old', 'new-shadow', { guarded: ['new'] }),
  cast: (round) => {
    const ramp = configOf(1, 'dual-old', 'new-shadow', { guarded: ['new'] })
    round.writer(round.client('failing', ramp, { failing: { path: 'new', key: 1 } }), (to) => to.put(1, 'a'))
    round.writer(round.client('remover', ramp), (to) => to.remove(1))
    round.writer(
      round.client('reader', ramp),
      (to) => to.read(1),
      (to) => to.read(1),
    )
    round.engine('repair', repair)
  },
}

/** The lead changes while writes are under way, and instances hear of it one after the other. */
export const leading = (to: 'new' | 'old'): Scenario => {
  const [before, after] =
    to === 'new' ? (['dual-old', 'dual-new'] as const) : (['dual-new', 'dual-old'] as const)
  const from = to === 'new' ? 'old' : 'new'
  const first = configOf(1, before)
  const second = configOf(2, after)
  return {
    name: `the lead goes to ${to}`,
    initial: { old: { 1: 'first' }, new: { 1: 'first' } },
    equalAtOnce: true,
    leader: to,
    config: second,
    cast: (round) => {
      const a = round.client('a', first, { failing: { path: from, key: 2 } })
      const b = round.client('b', first)
      round.writer(
        a,
        (client) => client.put(1, 'a'),
        (client) => client.put(2, 'a'),
      )
      round.writer(
        b,
        (client) => client.remove(1),
        (client) => client.put(2, 'b'),
      )
      round.actor('server', async (actor) => {
        for (const client of [a, b]) {
          await actor.permit({ label: `tells ${client.name} of epoch 2` })
          client.apply(second)
        }
      })
      round.engine('repair', repair)
    },
  }
}

/**
 * The way back from `retired`: new was written alone under epoch 1; from 2 on both are written. One instance
 * has not heard of it, and begins with a look of its own, so that its snapshot may be older than the fence.
 */
export const reverting: Scenario = {
  name: 'from retired back to promoted, with the reverse backfill',
  initial: { old: { 1: 'first' }, new: { 1: 'changed since', 2: 'only here' } },
  equalAtOnce: true,
  leader: 'new',
  config: configOf(2, 'dual-new', 'new'),
  cast: (round) => {
    const late = round.client('late', configOf(1, 'new', 'new'))
    round.writer(late, (to) => to.lookThenPut(1, 'late'))
    round.writer(
      round.client('heard', configOf(2, 'dual-new', 'new')),
      (to) => to.remove(2),
      (to) => to.put(3, 'heard'),
    )
    round.engine('engine', async (execution, actor) => {
      await round.passFence(execution, 2)
      await execution.run('reverse-backfill', orderOf(2))
      await actor.permit({ label: 'tells late of epoch 2' })
      late.apply(configOf(2, 'dual-new', 'new'))
    })
  },
}

/** Transactions over two keys in opposite orders: PostgreSQL ends the deadlock, and the SDK begins again. */
export const crossing: Scenario = {
  name: 'two keys in opposite orders',
  mayDeadlock: true,
  initial: { old: { 1: 'first' }, new: {} },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(round.client('up', OLD), (to) => to.putBoth(1, 2, 'up'))
    round.writer(round.client('down', OLD), (to) => to.putBoth(2, 1, 'down'))
    round.engine('backfill', backfill)
  },
}

/** New has rows that an earlier copy has left, of before the last change of old. */
export const copyingAgain: Scenario = {
  name: 'a backfill over what an earlier one has left',
  initial: { old: { 1: 'first', 2: 'second' }, new: { 1: 'stale' } },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(round.client('a', OLD), (to) => to.put(2, 'a'))
    round.engine('backfill', backfill)
  },
}

/** A key that only new has is written again while the sweep removes it. */
export const sweeping: Scenario = {
  name: 'a key that is written again while it is swept',
  initial: { old: {}, new: { 1: 'ghost' } },
  equalAtOnce: true,
  leader: 'old',
  config: OLD,
  cast: (round) => {
    round.writer(round.client('a', OLD), (to) => to.put(1, 'again'))
    round.engine('backfill', backfill)
  },
}

/** New alone is written under epoch 1, both under 2; old is brought up once nobody can be on 1 any more. */
export const fencing: Scenario = {
  name: 'a writer of a passed epoch, with a snapshot from before',
  initial: { old: { 1: 'first' }, new: { 1: 'first' } },
  equalAtOnce: true,
  leader: 'new',
  config: configOf(2, 'dual-new', 'new'),
  cast: (round) => {
    const late = round.client('late', configOf(1, 'new', 'new'))
    round.writer(late, (to) => to.lookThenPut(1, 'late'))
    round.engine('engine', async (execution, actor) => {
      await round.passFence(execution, 2)
      await execution.run('reverse-backfill', orderOf(2))
      await actor.permit({ label: 'tells late of epoch 2' })
      late.apply(configOf(2, 'dual-new', 'new'))
    })
  },
}
