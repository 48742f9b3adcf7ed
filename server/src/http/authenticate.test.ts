import { beforeEach, expect, test } from 'vitest'
import { type Authenticate, createAuthenticate, type SessionDoor } from './authenticate.ts'

const ANN = { id: 'tok_1', name: 'ann', role: 'viewer' } as const
const BEN = { id: 'idn_1', name: 'ben', role: 'viewer' } as const

let asked: string[]
let forged: string | undefined
let authenticate: Authenticate

beforeEach(() => {
  asked = []
  forged = undefined
  const tokens = {
    authenticate: async (text: string) => {
      asked.push(`token ${text}`)
      return text === 'good' ? ANN : undefined
    },
  }
  const door: SessionDoor = {
    textOf: ({ cookie }) => cookie,
    whyForged: () => forged,
    authenticate: async (text) => {
      asked.push(`session ${text}`)
      return text === 'good' ? BEN : undefined
    },
  }
  authenticate = createAuthenticate(tokens, () => 0, door)
})
const ask = (headers: Record<string, string>, address = 'a') =>
  authenticate({ headers, method: 'POST' }, address)

test.each([
  [{ authorization: 'Bearer good' }, ANN],
  [{ authorization: 'bearer  good ' }, ANN],
  [{ 'x-api-key': 'good' }, ANN],
  [{ authorization: 'Bearer good', 'x-api-key': 'bad' }, ANN],
  [{ cookie: 'good' }, BEN],
  // Whoever sends a token means it, whatever else the browser adds.
  [{ authorization: 'Bearer good', cookie: 'bad' }, ANN],
])('%j stands for somebody', async (headers, who) => {
  expect(await ask(headers as Record<string, string>)).toBe(who)
})

test.each([
  [{}, 'carries no token', []],
  [{ authorization: 'Bearer' }, 'carries no token', []],
  [{ authorization: 'Basic good' }, 'carries no token', []],
  [{ 'x-api-key': '' }, 'carries no token', []],
  // Nothing of this length was ever made: not worth a question to the store.
  [{ authorization: `Bearer ${'a'.repeat(1001)}` }, 'carries no token', []],
  [{ authorization: 'Bearer bad' }, 'unknown, expired or revoked', ['token bad']],
  [{ authorization: 'Bearer bad', cookie: 'good' }, 'unknown, expired or revoked', ['token bad']],
  [{ cookie: 'bad' }, 'The session is over', ['session bad']],
])('%j stands for nobody', async (headers, detail, looked) => {
  await expect(ask(headers as Record<string, string>)).rejects.toMatchObject({
    status: 401,
    message: expect.stringContaining(detail),
  })
  expect(asked).toEqual(looked)
})

test('a change that another page has sent is refused before its session is looked at', async () => {
  forged = 'This change does not come from here.'
  await expect(ask({ cookie: 'good' })).rejects.toMatchObject({ status: 403, message: forged })
  expect(asked).toEqual([])
  expect(await ask({ cookie: 'good', authorization: 'Bearer good' })).toBe(ANN)
})

test('failures are counted by address, of whatever kind, and what is good passes even then', async () => {
  for (let n = 0; n < 15; n++) {
    await expect(ask({})).rejects.toMatchObject({ status: 401 })
    await expect(ask({ authorization: 'Bearer bad' })).rejects.toMatchObject({ status: 401 })
  }
  await expect(ask({ cookie: 'bad' })).rejects.toMatchObject({ status: 429 })
  await expect(ask({ cookie: 'bad' }, 'b')).rejects.toMatchObject({ status: 401 })
  expect(await ask({ authorization: 'Bearer good' })).toBe(ANN)
  expect(await ask({ cookie: 'good' })).toBe(BEN)
})
