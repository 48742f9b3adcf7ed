import { describe, expect, it } from 'vitest'
import type { MigrationState } from './state.ts'
import { apply, cause, must, revertBy, standingAt } from './states-for-tests.ts'

// What people ask for beside steps and reverts, and what keeps it from being done.
const latch = { at: 5, reason: 'errors' }
/** It may still write as before anybody wrote both, and nothing stops it. */
const straggler = { id: 'left-behind', drained: 1, fenced: false }

describe('a share', () => {
  const share = { type: 'set-rollout', share: 0.5, canary: [], instances: [] } as const

  it('is set in ramp, and in no other phase', () => {
    expect(must(standingAt('ramp'), share).rollout).toMatchObject({ share: 0.5 })
    expect(apply(standingAt('shadow'), share)).toMatchObject({ refusal: { code: 'not-in-ramp' } })
  })

  it('is not set while a revert is latched', () => {
    expect(apply({ ...standingAt('ramp'), latch }, share)).toMatchObject({
      refusal: { code: 'already-latched' },
    })
  })

  it('is not set while somebody may write the other path alone, who is named', () => {
    expect(apply(standingAt('ramp'), { ...share, instances: [straggler] })).toMatchObject({
      refusal: { code: 'share-not-allowed', message: expect.stringContaining('left-behind may still write') },
    })
  })
})

it('flags are not set while somebody may write the other path alone, who is named', () => {
  const asked = { type: 'set-flags', read: 'new-shadow' } as const
  expect(apply(standingAt('ramp'), { ...asked, instances: [] })).toMatchObject({ ok: true })
  expect(apply(standingAt('ramp'), { ...asked, instances: [straggler] })).toMatchObject({
    refusal: { code: 'flags-incompatible', message: expect.stringContaining('left-behind may still write') },
  })
})

describe('re-arming', () => {
  it('is refused where nothing is latched', () => {
    expect(apply(standingAt('ramp'), { type: 'rearm' })).toMatchObject({ refusal: { code: 'not-latched' } })
  })

  it('calls off what is still to be gone back, and begins anew what alerts and measurements are judged by', () => {
    const pending = { to: 'expanded', reason: 'errors', by: 'alert', since: 5 } as const
    const before: MigrationState = { ...standingAt('dual-write'), latch, pending }
    const after = must(before, { type: 'rearm' })
    expect([after.latch, after.pending]).toEqual([undefined, undefined])
    expect(after.run.epoch).toBe(before.epoch)
    expect(after.run.at).toBeGreaterThan(before.run.at)
  })
})

it('what has no rollback.sql is not rolled back', () => {
  const asked = revertBy(cause)
  expect(apply(standingAt('expanded'), asked)).toMatchObject({ ok: true })
  expect(apply(standingAt('expanded'), { ...asked, canRollback: false } as typeof asked)).toMatchObject({
    refusal: { code: 'no-rollback-sql' },
  })
})
