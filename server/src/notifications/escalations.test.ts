import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { addEvent } from '../incidents/incident-store.ts'
import { type NoticesWorld, noticesWorld, owner } from './notices-for-tests.ts'

let world: NoticesWorld
let store: NoticesWorld['store']
let api: NoticesWorld['api']
let base: NoticesWorld['base']
let close: NoticesWorld['close']
let call: NoticesWorld['call']
let channel: NoticesWorld['channel']
let revert: NoticesWorld['revert']
let at: NoticesWorld['at']

beforeEach(async () => {
  world = await noticesWorld()
  ;({ store, api, base, close, call, channel, revert, at } = world)
})
afterEach(() => world.stop())

test('contacts are called one after the other until somebody acknowledges', async () => {
  const mails: string[] = []
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: (stream, session, done) => {
      stream.setEncoding('utf8')
      let text = session.envelope.rcptTo.map(({ address }) => address).join(',')
      stream.on('data', (part: string) => {
        text += part
      })
      stream.on('end', () => {
        mails.push(text)
        done()
      })
    },
  })
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve))
  close.push(() => new Promise<void>((resolve) => smtp.close(resolve)))
  const { port } = smtp.server.address() as AddressInfo
  await channel('#oncall', 'slack', { url: `${base}/oncall`, events: ['test'] })
  await channel('mail', 'email', { url: `smtp://127.0.0.1:${port}`, from: 'sb@x.example', events: ['test'] })
  await api.ramped('profiles', owner('#oncall', '#nobody', 'mailto:riders@bimride.example'))
  const incident = await revert('profiles')

  await api.notifier.run()
  expect([at('/oncall').length, mails.length]).toEqual([1, 0])
  api.passTime(299_000)
  await api.notifier.run()
  expect([at('/oncall').length, mails.length]).toEqual([1, 0])
  api.passTime(2_000)
  await api.notifier.run()
  // A contact that no channel leads to is passed over at once, and written down.
  expect([at('/oncall').length, mails.length]).toEqual([1, 1])
  expect(mails[0]).toMatch(/^riders@bimride\.example[\s\S]*Subject: \[switchback\] profiles switched back/)
  const { timeline } = (await call('get', `/v1/incidents/${incident}`)).body
  expect(timeline.map((each: { kind: string }) => each.kind)).toContain('contact-unreachable')

  const acked = await call('post', `/v1/incidents/${incident}/ack`, {})
  expect(acked.body).toMatchObject({ ackedBy: 'a admin', status: 'open' })
  expect((await call('post', `/v1/incidents/${incident}/ack`, {})).status).toBe(409)
  expect((await call('post', '/v1/incidents/inc_none/ack', {})).status).toBe(404)
  api.passTime(3_600_000)
  await api.notifier.run()
  // Whoever was called hears that it was taken up, and nothing more.
  expect([at('/oncall').length, mails.length]).toEqual([2, 2])
  expect(at('/oncall')[1]?.text).toContain('has been taken up')
})

test('whoever another server is about to call is not called by this one as well, and nobody is left out', async () => {
  await channel('#first', 'slack', { url: `${base}/first`, events: ['test'] })
  await channel('#second', 'slack', { url: `${base}/second`, events: ['test'] })
  await api.ramped('profiles', owner('#first', '#second'))
  await revert('profiles')
  await api.notifier.run()
  api.passTime(301_000)
  await store.db.tx(async (tx) => {
    await tx.query('select from escalations for update')
    await api.notifier.run()
    expect(at('/second')).toEqual([])
  })
  await api.notifier.run()
  expect([at('/first').length, at('/second').length]).toEqual([1, 1])
})

test('where nobody acknowledges after three rounds, that is told', async () => {
  await channel('#oncall', 'slack', { url: `${base}/oncall`, events: ['unanswered'] })
  await api.ramped('profiles', owner('#oncall'))
  await revert('profiles')
  for (let round = 0; round < 5; round++) {
    await api.notifier.run()
    api.passTime(301_000)
  }
  expect(at('/oncall').map(({ body }) => body.text.includes('nobody has acknowledged'))).toEqual([
    false,
    false,
    false,
    true,
  ])
})

test('a revert that is refused calls people as well', async () => {
  await channel('#oncall', 'slack', { url: `${base}/oncall`, events: ['test'] })
  await api.ramped('profiles', owner('#oncall'))
  for (const type of ['promoted', 'retired']) {
    const result = await api.phases.command('profiles', { type: 'advance' }, { name: 'ann' })
    expect([type, result.ok && result.migration.state.phase]).toEqual([type, type])
  }
  const cause = { kind: 'alert', reason: 'new fails' } as const
  expect((await api.phases.command('profiles', { type: 'revert', cause }, { name: 'alert' })).ok).toBe(false)
  await api.notifier.run()
  expect(at('/oncall')).toHaveLength(1)
  expect(at('/oncall')[0]?.text).toContain('could not be switched back by itself')
  expect(at('/oncall')[0]?.text).toContain('The safe way')
})

test('failed work is told to the first contact', async () => {
  await channel('#oncall', 'slack', { url: `${base}/oncall`, events: ['test'] })
  await api.registered('profiles', owner('#oncall'))
  const engine = { name: 'engine' }
  await api.phases.command('profiles', { type: 'advance' }, engine)
  const failure = { type: 'work-failed', kind: 'expand', epoch: 1, error: 'lock timeout' } as const
  await api.phases.command('profiles', failure, engine)
  await api.notifier.run()
  await api.notifier.run()
  expect(at('/oncall').map(({ body }) => body.text)).toEqual([
    expect.stringMatching(/expand failed: lock timeout.*switchback retry profiles/),
  ])
})

test('an incident that is resolved before anybody acknowledges calls nobody further', async () => {
  await channel('#first', 'slack', { url: `${base}/first`, events: ['test'] })
  await channel('#second', 'slack', { url: `${base}/second`, events: ['test'] })
  await api.ramped('profiles', owner('#first', '#second'))
  await revert('profiles')
  await api.notifier.run()
  await api.phases.command('profiles', { type: 'rearm', reason: 'mended' }, { name: 'ann' })
  await api.notifier.run()
  api.passTime(3_600_000)
  await api.notifier.run()
  expect(at('/first').map(({ body }) => body.text)).toEqual([
    expect.stringContaining('switched back'),
    expect.stringContaining('is resolved'),
  ])
  expect(at('/second')).toEqual([])
})

test('what is paged again about an incident calls at once, and anew after it was taken up', async () => {
  await channel('#first', 'slack', { url: `${base}/first`, events: ['test'] })
  await channel('#second', 'slack', { url: `${base}/second`, events: ['test'] })
  await api.ramped('profiles', owner('#first', '#second'))
  const incident = await revert('profiles')
  const worse = (message: string) =>
    addEvent(store.db, incident, { at: api.now(), kind: 'verification-failed', message, detail: {} })
  await api.notifier.run()
  expect([at('/first').length, at('/second').length]).toEqual([1, 0])
  await worse('still failing')
  await api.notifier.run()
  // Without waiting for the five minutes, and with what is known now.
  expect([at('/first').length, at('/second').length]).toEqual([1, 1])
  expect(at('/second')[0]?.text).toContain('still failing')
  await call('post', `/v1/incidents/${incident}/ack`, {})
  await api.notifier.run()
  const told = [at('/first').length, at('/second').length]
  await worse('failing again')
  await api.notifier.run()
  expect(at('/first').length + at('/second').length).toBe((told[0] ?? 0) + (told[1] ?? 0) + 1)
  expect([...at('/first'), ...at('/second')].some(({ text }) => text.includes('failing again'))).toBe(true)
})
