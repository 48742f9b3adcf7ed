import { expect, test } from 'vitest'
import { createCookies } from './cookies.ts'
import { createSessionDoor, createSocketDoor } from './session-door.ts'

const ORIGIN = 'https://switchback.example'
const cookies = createCookies(ORIGIN)
const uses: (string | undefined)[] = []
const sessions = {
  authenticate: async (_text: string, use?: 'used' | 'looked-at') => {
    uses.push(use)
    return undefined
  },
}
const door = createSessionDoor({ sessions, cookies, origin: ORIGIN })
const socket = createSocketDoor({ sessions, cookies, origin: ORIGIN })
const cookie = '__Host-switchback-session=sbs_x'
const console_ = { origin: ORIGIN, 'x-switchback': 'console' }

test.each([
  ['GET', {}, undefined],
  ['HEAD', {}, undefined],
  ['POST', console_, undefined],
  ['POST', {}, 'does not come from a page of'],
  ['PUT', { ...console_, origin: `${ORIGIN}.evil.example` }, 'does not come from a page of'],
  ['DELETE', { ...console_, origin: 'http://switchback.example' }, 'does not come from a page of'],
  ['POST', { ...console_, origin: `${ORIGIN}:8443` }, 'does not come from a page of'],
  ['POST', { origin: ORIGIN }, 'does not come from the console'],
  ['POST', { origin: ORIGIN, 'x-switchback': 'another' }, 'does not come from the console'],
  ['OPTIONS', {}, 'does not come from a page of'],
])('a %s with %j by a session was meant by the person, or why not: %s', (method, headers, why) => {
  const forged = door.whyForged({ method, headers })
  if (why === undefined) expect(forged).toBeUndefined()
  else expect(forged).toContain(why)
})

test.each([
  [{ cookie, origin: ORIGIN }, 'sbs_x'],
  [{ cookie, origin: 'https://evil.example' }, undefined],
  [{ cookie }, undefined],
  [{ origin: ORIGIN }, undefined],
])('a socket that is opened with %j has the session %s', (headers, text) => {
  expect(socket.textOf(headers)).toBe(text)
})

test('looking on by a socket is no use of a session, and a request is', async () => {
  uses.length = 0
  await socket.authenticate('sbs_x')
  await door.authenticate('sbs_x')
  expect(uses).toEqual(['looked-at', undefined])
})

test('over https the cookies are such that only this host can set them, and none of another name counts', () => {
  for (const set of [cookies.setSession('x', 5000), cookies.setBrowser('x', 5000)]) {
    expect(set).toMatch(/^__Host-.*Max-Age=5;.*Path=\/;.*HttpOnly;.*Secure/)
    expect(set).not.toMatch(/Domain/i)
  }
  expect(cookies.setSession('x', 5000)).toContain('SameSite=Strict')
  expect(cookies.setBrowser('x', 5000)).toContain('SameSite=Lax')
  expect(cookies.clearSession()).toContain('Max-Age=0')
  const of = (text: string) => cookies.sessionOf({ cookie: text })
  expect(of('switchback-session=sbs_x')).toBeUndefined()
  expect(of('__Host-switchback-sign-on=sbs_x')).toBeUndefined()
  expect(of(`__Host-switchback-session=${'x'.repeat(201)}`)).toBeUndefined()
  expect(of(`__Host-switchback-session=${'x'.repeat(200)}`)).toHaveLength(200)
})
