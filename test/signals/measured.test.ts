import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openWorld, type World } from './world.ts'

/** Scenarios that are measured: what is decided, with its reason on record. */
let world: World
beforeAll(async () => {
  world = await openWorld()
}, 120_000)
afterAll(() => world.close())

const tripwires = (...rules: string[]) => `tripwires:\n${rules.map((rule) => `  - ${rule}\n`).join('')}`
const phaseOf = async (id: string) => (await world.view(id)).state.phase
/** Waits until a tripwire says this, and tells what else it says. */
async function says(id: string, outcome: string, reason: string) {
  const found = async () =>
    (await world.verdicts(id)).find((verdict) => verdict.outcome === outcome && verdict.reason === reason)
  await world.until(`${id}: ${outcome}, ${reason}`, found)
  return await found()
}

describe.concurrent('what is measured', () => {
  it('low traffic: nearly all of it fails, too few to tell, and nothing is reverted', async () => {
    await world.register(
      'low',
      tripwires('{ watch: error-rate, above: 2%, window: 1h, samples: 100000, do: revert }'),
    )
    const application = await world.application('low', { perSecond: 50 })
    application.behaviour.read.new.fails = 1
    application.behaviour.write.new.fails = 1
    await world.advanceTo('low', 'ramp')
    const verdict = await says('low', 'inconclusive', 'too-few-samples')
    expect(verdict?.explanation).toMatch(
      /^\d+ samples of new within the window; the tripwire wants 100000\.$/,
    )
    expect(await phaseOf('low')).toBe('ramp')
    expect(await world.breaches('low')).toEqual([])
  })

  it('a spike of one window, where two in a row are asked for: nothing is reverted, and the record says why', async () => {
    await world.register(
      'spike',
      tripwires('{ watch: error-rate, above: 20%, window: 3s, for: 2, samples: 20, do: revert }'),
    )
    const application = await world.application('spike')
    await world.advanceTo('spike', 'ramp')
    await says('spike', 'fine', 'below-limit')
    application.behaviour.read.new.fails = 1
    const verdict = await says('spike', 'inconclusive', 'not-in-a-row')
    application.behaviour.read.new.fails = 0
    expect(verdict?.explanation).toContain('For 1 of 2 windows in a row.')
    await says('spike', 'fine', 'below-limit')
    expect(await phaseOf('spike')).toBe('ramp')
    expect(await world.breaches('spike')).toEqual([])
  })

  it('both paths failing alike: not the migration’s doing, so somebody is told and nothing is reverted', async () => {
    await world.register(
      'alike',
      tripwires('{ watch: error-rate, above: 5%, window: 5s, samples: 50, do: revert }'),
    )
    const application = await world.application('alike')
    await world.advanceTo('alike', 'ramp')
    const { read, write } = application.behaviour
    for (const path of [read.old, read.new, write.old, write.new]) path.fails = 0.5
    await says('alike', 'breach', 'both-paths')
    await world.until('the record', async () => (await world.breaches('alike'))[0])
    expect(await world.breaches('alike')).toMatchObject([
      {
        action: 'notify',
        reason: 'both-paths',
        explanation: expect.stringContaining('Both paths fail alike'),
      },
    ])
    expect(await phaseOf('alike')).toBe('ramp')
    // It is told once, and ends when both are well again.
    for (const path of [read.old, read.new, write.old, write.new]) path.fails = 0
    await says('alike', 'fine', 'below-limit')
    const { body } = await world.service.call<{ events: { kind: string }[] }>(
      'GET',
      '/v1/events?subject=alike',
    )
    expect(body.events.filter(({ kind }) => kind === 'tripwire.breached')).toHaveLength(1)
  })

  it('a new path that is three times as slow is reverted, and the incident names both latencies', async () => {
    await world.register(
      'slow',
      tripwires('{ watch: latency-p99, above: 2x old, window: 5s, samples: 50, do: revert }'),
    )
    const application = await world.application('slow', { perSecond: 100 })
    const { read } = application.behaviour
    read.old.ms = 30
    read.new.ms = 30
    await world.advanceTo('slow', 'ramp')
    await says('slow', 'fine', 'below-limit')
    read.new.ms = 90
    await world.until('the revert', async () => (await phaseOf('slow')) === 'dual-write')
    const [incident] = await world.incidents('slow')
    expect(incident?.cause).toMatchObject({ kind: 'tripwire', path: 'new', operation: 'read' })
    expect(incident?.cause.reason).toMatch(
      /latency-p99 of reads of new is [\d.]+ms of \d+, of the other path [\d.]+ms of \d+; the limit is 2x old\./,
    )
  })

  it('telemetry that stops: the dead man’s switch pauses, and says that nothing is told', async () => {
    await world.register('silent', tripwires('{ watch: telemetry, missing: 5s, do: pause }'))
    const application = await world.application('silent')
    await world.advanceTo('silent', 'ramp')
    await says('silent', 'fine', 'below-limit')
    application.pace(0)
    await world.until('the pause', async () => (await world.view('silent')).state.paused)
    expect(await world.breaches('silent')).toMatchObject([
      {
        action: 'pause',
        explanation: expect.stringMatching(/^No operation was told of for [5-9]s, with 1 live instances/),
      },
    ])
    application.pace(200)
    await says('silent', 'fine', 'below-limit')
    // Whether to go on, a person decides.
    expect((await world.view('silent')).state).toMatchObject({ paused: true, phase: 'ramp' })
  })

  it('a tripwire of which two servers hear is acted upon once', async () => {
    const second = await world.another()
    await world.register(
      'twice',
      tripwires('{ watch: error-rate, above: 5%, window: 5s, samples: 300, do: revert }'),
    )
    const applications = [
      await world.application('twice', { perSecond: 100 }),
      await world.application('twice', { perSecond: 100, at: second }),
    ]
    await world.advanceTo('twice', 'ramp')
    const { epoch } = (await world.view('twice')).state
    for (const { behaviour } of applications) behaviour.read.new.fails = 0.6
    await world.until('the revert', async () => (await phaseOf('twice')) === 'dual-write')
    await world.until('its last ack', async () => (await world.incidents('twice'))[0]?.lastAckAt)
    expect(await world.incidents('twice')).toHaveLength(1)
    expect((await world.view('twice')).state.epoch).toBe(epoch + 1)
    expect(await world.breaches('twice')).toHaveLength(1)
  })

  it('sessions that wait for locks of the tables: the database says so, and the migration is paused', async () => {
    await world.register(
      'waits',
      tripwires('{ watch: database, signal: lock-waits, above: 1, for: 2, do: pause }'),
    )
    await world.advanceTo('waits', 'dual-write')
    await says('waits', 'fine', 'below-limit')
    const [holder, ...waiters] = await Promise.all(
      [1, 2, 3].map(async () => {
        const client = new pg.Client({ connectionString: world.target.url })
        await client.connect()
        world.onClose(() => client.end())
        return client
      }),
    )
    await holder?.query('begin; lock table waits in access exclusive mode')
    const waiting = waiters.map((client) => client.query('select count(*) from waits'))
    await world.until('the pause', async () => (await world.view('waits')).state.paused)
    await holder?.query('commit')
    await Promise.all(waiting)
    expect(await world.breaches('waits')).toMatchObject([
      { action: 'pause', explanation: 'lock-waits is 2; the limit is 1, for 2 readings in a row.' },
    ])
  })

  it('what the database cannot say is inconclusive, and why is told', async () => {
    await world.register(
      'unsaid',
      tripwires(
        '{ watch: database, signal: replication-lag, above: 1s, do: pause }',
        '{ watch: database, signal: slow-queries, above: 1s, do: pause }',
        '{ watch: database, signal: connection-errors, above: 5, do: pause }',
        '{ watch: database, signal: long-transaction, above: 1h, do: pause }',
      ),
    )
    await says('unsaid', 'inconclusive', 'no-reading')
    await world.until(
      'every reading',
      async () => (await world.verdicts('unsaid')).filter(({ outcome }) => outcome === 'fine').length === 2,
    )
    expect((await world.verdicts('unsaid')).map(({ explanation }) => explanation)).toEqual([
      'replication-lag cannot be told: no replica is connected.',
      expect.stringMatching(
        /^slow-queries cannot be told: (the extension pg_stat_statements is not there|being measured)/,
      ),
      'connection-errors is 0; the limit is 5.',
      expect.stringMatching(/^long-transaction is [\d.]+; the limit is 3600000/),
    ])
  })
})
