import { afterAll, beforeAll, expect, it } from 'vitest'
import { openWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
}, 120_000)
afterAll(() => world.close())

it('a new path that fails outright is reverted by the default tripwires, and the incident says what was seen', async () => {
  await world.register('fails')
  const application = await world.application('fails')
  await world.advanceTo('fails', 'ramp')
  const { epoch } = (await world.view('fails')).state
  await world.until('operations to be measured', async () =>
    (await world.verdicts('fails')).some(
      ({ name, outcome }) => name.endsWith('over 5s') && outcome === 'fine',
    ),
  )
  application.behaviour.read.new.fails = 1
  await world.until('the revert', async () => (await world.view('fails')).state.phase === 'dual-write')
  await world.until('its last ack', async () => (await world.incidents('fails'))[0]?.lastAckAt)
  const [incident, ...others] = await world.incidents('fails')
  expect(others).toEqual([])
  expect(incident).toMatchObject({
    kind: 'revert',
    cause: { kind: 'tripwire', by: 'tripwire', path: 'new' },
    from: { phase: 'ramp', epoch },
    to: { phase: 'dual-write', epoch: epoch + 1 },
  })
  const kinds = incident?.timeline.map(({ kind }) => kind)
  expect(kinds).toEqual(
    expect.arrayContaining(['first-bad-sample', 'breach-seen', 'decided', 'reverted', 'last-ack']),
  )
  const decided = incident?.timeline.find(({ kind }) => kind === 'decided')
  expect(decided?.message).toMatch(
    // Of both together where there were too few of each.
    /^error-rate of (reads of )?new is \d+(\.\d+)?% of \d+, of the other path 0% of \d+; the limit is \d+%\.$/,
  )
  expect(decided?.detail).toMatchObject({
    numbers: { samples: expect.any(Number), errors: { XX000: expect.any(Number) } },
  })
  expect(await world.breaches('fails')).toMatchObject([{ action: 'revert', incident: incident?.id }])
})
