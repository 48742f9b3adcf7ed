import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { freePort } from '@switchback/test/support'
import { SMTPServer } from 'smtp-server'
import { afterEach, expect, test } from 'vitest'
import type { Notice } from './notice.ts'
import { createSend, type Outgoing, SendError } from './send.ts'

const NOTICE: Notice = {
  kind: 'reverted',
  severity: 'critical',
  title: 'profiles switched back',
  text: 'New fails.',
  at: 0,
  incident: 'inc_1',
  facts: [],
  links: [],
}
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function listening(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  closing.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/T0SECRET`
}

async function mailbox(responseCode: number): Promise<string> {
  const refusal = Object.assign(new Error('not here'), { responseCode })
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onRcptTo: (_address, _session, done) => done(refusal),
  })
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve))
  closing.push(() => new Promise<void>((resolve) => smtp.close(resolve)))
  return `smtp://127.0.0.1:${(smtp.server.address() as AddressInfo).port}`
}

async function failure(
  url: string,
  kind: Outgoing['kind'] = 'slack',
  timeoutMs?: number,
): Promise<SendError> {
  const send = createSend(() => 0, timeoutMs)
  const settings = { from: 'sb@x.example', to: ['riders@x.example'] }
  const outgoing = { id: 'ntf_1', kind, settings, secret: { url }, recipient: undefined, notice: NOTICE }
  try {
    await send(outgoing)
  } catch (error) {
    if (error instanceof SendError) return error
    throw error
  }
  throw new Error('it arrived')
}

test.each([
  [400, false],
  [404, false],
  [408, true],
  [410, false],
  [425, true],
  [429, true],
  [500, true],
  [503, true],
])('the same again may arrive after the answer %i: %s', async (status, retryable) => {
  const url = await listening((_request, response) => response.writeHead(status).end())
  expect(await failure(url)).toMatchObject({ message: `the answer was ${status}`, retryable })
})

test('who never answers is waited for only so long, and asked again later', async () => {
  const url = await listening(() => undefined)
  expect(await failure(url, 'slack', 100)).toMatchObject({
    message: 'no answer: nothing within 0.1 s',
    retryable: true,
  })
})

test('who answers and never comes to an end is no better', async () => {
  const url = await listening((_request, response) => void response.writeHead(200).write('well'))
  expect((await failure(url, 'slack', 100)).retryable).toBe(true)
})

test.each([
  [550, false],
  [451, true],
])('a mail server that answers %i may take the same again later: %s', async (code, retryable) => {
  const failed = await failure(await mailbox(code), 'email')
  expect(failed.retryable).toBe(retryable)
})

test('an address is told of in no error: those of chats are secrets', async () => {
  const failed = await failure(`http://127.0.0.1:${await freePort()}/T0SECRET`)
  expect([failed.message, failed.retryable]).toEqual(['no answer: ECONNREFUSED', true])
  const odd = await failure('no address at all: T0SECRET')
  expect(odd.message).toBe('no answer: ERR_INVALID_URL')
})
