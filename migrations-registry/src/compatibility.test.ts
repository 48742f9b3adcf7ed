import { describe, expect, it } from 'vitest'
import type { EpochRecord } from './compatibility.ts'
import { conflictsWith, mayCoexist } from './compatibility.ts'
import { PHASES, type Phase } from './phases.ts'
import { askingForOld, askingWhereBehind, type Rollout, type Routing, routingOf } from './routing.ts'

const half: Rollout = { step: 0, share: 0.5, canary: [] }
const of = (phase: Phase) => routingOf('m', phase, half, true)

describe('which phases may be in use at once (I1)', () => {
  // Written out by hand: reads served from a path that the other does not write are unsafe.
  const safe: Record<Phase, readonly Phase[]> = {
    planned: ['planned', 'expanded', 'dual-write', 'backfill', 'shadow'],
    expanded: ['planned', 'expanded', 'dual-write', 'backfill', 'shadow'],
    'dual-write': ['planned', 'expanded', 'dual-write', 'backfill', 'shadow', 'ramp'],
    backfill: ['planned', 'expanded', 'dual-write', 'backfill', 'shadow', 'ramp'],
    shadow: ['planned', 'expanded', 'dual-write', 'backfill', 'shadow', 'ramp'],
    // Its share that reads old does not ask for repairs of old, which writes of promoted may queue.
    ramp: ['dual-write', 'backfill', 'shadow', 'ramp'],
    promoted: ['promoted', 'retired', 'contracted'],
    retired: ['promoted', 'retired', 'contracted'],
    contracted: ['promoted', 'retired', 'contracted'],
  }
  for (const a of PHASES) {
    for (const b of PHASES) {
      const expected = safe[a].includes(b)
      it(`${a} and ${b} ${expected ? 'may' : 'may not'} be in use together`, () => {
        expect(mayCoexist(of(a), of(b))).toBe(expected)
      })
    }
  }

  it('lets neighbours of the table be in use together, forward and back', () => {
    // The last step of ramp, from which promoted is entered.
    const all: Rollout = { step: 1, share: 1, canary: [] }
    for (const [i, phase] of PHASES.entries()) {
      const next = PHASES[i + 1]
      if (next === undefined) continue
      expect(mayCoexist(routingOf('m', phase, all, true), routingOf('m', next, all, true))).toBe(true)
    }
  })

  it('lets the way back from promoted be taken at once, since its reads of old ask for repairs', () => {
    expect(mayCoexist(askingForOld(of('dual-write')), of('promoted'))).toBe(true)
  })

  it('lets nobody read a path that does not lead without asking for repairs', () => {
    const old: Routing = { write: 'dual-new', read: { kind: 'fixed', variant: 'old' } }
    expect(mayCoexist(old, old)).toBe(false)
    expect(mayCoexist(askingWhereBehind(old), askingWhereBehind(old))).toBe(true)
  })
})

describe('who would break I1 if a routing came into force', () => {
  const history = (...phases: readonly Phase[]): EpochRecord[] =>
    phases.map((phase, i) => ({ epoch: i + 1, routing: of(phase), fenced: phase !== 'planned' }))
  const instance = (drained: number, fenced = true) => ({ id: 'a', drained, fenced })

  it('names a reader of old when old is to be written no more', () => {
    const conflicts = conflictsWith(of('retired'), [instance(1)], history('ramp', 'promoted'), 2)
    expect(conflicts).toEqual([{ instance: 'a', epoch: 1, as: 'reader' }])
  })

  it('names a writer that misses a path that is to be served', () => {
    const conflicts = conflictsWith(of('ramp'), [instance(1)], history('expanded', 'dual-write'), 0)
    expect(conflicts).toEqual([{ instance: 'a', epoch: 1, as: 'writer' }])
  })

  it('passes over a writer that the fence stops', () => {
    expect(conflictsWith(of('ramp'), [instance(1)], history('expanded', 'dual-write'), 2)).toEqual([])
  })

  it('does not count on the fence for an instance whose writes do not go through it', () => {
    expect(
      conflictsWith(of('ramp'), [instance(1, false)], history('expanded', 'dual-write'), 2),
    ).toHaveLength(1)
  })

  it('does not count on the fence for an epoch that was not fenced', () => {
    expect(conflictsWith(of('ramp'), [instance(1)], history('planned', 'dual-write'), 2)).toHaveLength(1)
  })

  it('never takes the fence for enough against a stale reader', () => {
    expect(conflictsWith(of('expanded'), [instance(1)], history('ramp', 'dual-write'), 99)).toEqual([
      { instance: 'a', epoch: 1, as: 'reader' },
    ])
  })

  it('ignores epochs that the instance has drained', () => {
    expect(conflictsWith(of('expanded'), [instance(2)], history('ramp', 'dual-write'), 0)).toEqual([])
  })
})
