import { afterAll, beforeAll, expect, it } from 'vitest'
import { openWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
}, 120_000)
afterAll(() => world.close())

const settle = 'afterRevert: { settle: 1s }\n'
const verified = async (id: string) => {
  await world.until('verification', async () => (await world.incidents(id))[0]?.verification)
  return (await world.incidents(id))[0]
}
const revert = (id: string) =>
  world.service.call('POST', `/v1/migrations/${id}/revert`, { reason: 'support tickets' })
const eventsOf = async (id: string) => {
  const { body } = await world.service.call<{
    events: { kind: string; detail: Record<string, unknown> }[]
  }>('GET', `/v1/events?subject=${id}`)
  return body.events
}

it('a revert whose checks hold, with error rates back under the limits, is verified', async () => {
  await world.register(
    'holds',
    // Long enough for the samples that a tripwire asks for, on a busy machine too.
    `afterRevert: { settle: 5s }\nchecks: [{ name: users are there, sql: select count(*) > 0 from users }]\n`,
  )
  const application = await world.application('holds', { perSecond: 300 })
  await world.advanceTo('holds', 'ramp')
  application.behaviour.read.new.fails = 1
  const incident = await verified('holds')
  expect(incident?.cause.kind).toBe('tripwire')
  expect(incident?.verification?.outcome).toBe('verified')
  expect(incident?.verification?.findings.map(({ name }) => name)).toEqual([
    'users are there',
    'keys of old that wait for repair',
    'error rates',
  ])
  expect(incident?.verification?.findings.at(-1)?.message).toMatch(
    /^Under the limit for 5s: error-rate of .* of old is 0%/,
  )
  expect(incident?.timeline.at(-1)).toMatchObject({ kind: 'verified', detail: { page: false } })
})

it('a revert after which a check does not hold is not verified, and calls a person', async () => {
  await world.register(
    'broken',
    `${settle}checks: [{ name: no users, sql: select count(*) = 0 from users }]\n`,
  )
  await world.advanceTo('broken', 'ramp')
  await revert('broken')
  const incident = await verified('broken')
  expect(incident?.verification).toMatchObject({
    outcome: 'failed',
    findings: expect.arrayContaining([
      { name: 'no users', outcome: 'failed', message: 'It does not give true.' },
    ]),
  })
  const told = (await eventsOf('broken')).find(({ kind }) => kind === 'incident.verification-failed')
  expect(told?.detail).toMatchObject({ incident: incident?.id, page: true })
})

it('errors that go on after the revert are told', async () => {
  await world.register('goes-on', settle)
  const application = await world.application('goes-on', { perSecond: 300 })
  await world.advanceTo('goes-on', 'ramp')
  application.behaviour.read.old.fails = 0.5
  await revert('goes-on')
  const incident = await verified('goes-on')
  expect(incident?.verification?.outcome).toBe('failed')
  expect(incident?.verification?.findings.at(-1)).toMatchObject({
    name: 'error rates',
    message: expect.stringContaining('error-rate of reads of old'),
  })
})

it('rows of old that differ after new has led are found', async () => {
  await world.register('led', settle)
  await world.advanceTo('led', 'promoted')
  await world.target.pool.query(`update led set bio = 'written to new alone' where id = 'u7'`)
  await revert('led')
  const incident = await verified('led')
  expect(incident?.verification?.findings).toContainEqual({
    name: 'old compared with new',
    outcome: 'failed',
    message: '1 of 500 rows differ: u7',
  })
})

it('a re-arm before the time to settle is over leaves it open whether the revert has helped', async () => {
  await world.register('hasty', 'afterRevert: { settle: 1h }\n')
  await world.advanceTo('hasty', 'ramp')
  await revert('hasty')
  await world.service.call('POST', '/v1/migrations/hasty/rearm', { reason: 'fixed' })
  const incident = await verified('hasty')
  expect(incident?.verification).toMatchObject({
    outcome: 'inconclusive',
    findings: expect.arrayContaining([expect.objectContaining({ name: 'time to settle' })]),
  })
})
