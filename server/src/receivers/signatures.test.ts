import { expect, test } from 'vitest'
import { TOLERANCE_MS } from './receiver.ts'
import { clean, labelsInText, signalFrom } from './signal-from.ts'
import { headerOf, isEqual, isRecent, matchesAny, sharedToken } from './signatures.ts'

const NOW = Date.UTC(2026, 10, 28, 12)

test.each([
  ['Bearer abc', 'abc'],
  ['bearer  abc ', 'abc'],
  ['Bearer', undefined],
  ['Bearer a b', undefined],
  [`Basic ${Buffer.from('user:pass:word').toString('base64')}`, 'pass:word'],
  [`Basic ${Buffer.from('user:').toString('base64')}`, undefined],
  [`Basic ${Buffer.from('user').toString('base64')}`, undefined],
  ['Basic ???', undefined],
  [`Bearer ${'a'.repeat(1993)}`, 'a'.repeat(1993)],
  [`Bearer ${'a'.repeat(1994)}`, undefined],
  ['Digest abc', undefined],
])('the token in %j is found, or there is none', (authorization, token) => {
  expect(sharedToken({ authorization })).toBe(token)
})

test('a header that came twice, or is empty, is none: which of the two would count?', () => {
  expect(headerOf({ 'x-sign': ['right', 'wrong'] }, 'x-sign')).toBeUndefined()
  expect(headerOf({ 'x-sign': '' }, 'x-sign')).toBeUndefined()
  expect(headerOf({ 'x-sign': 'right' }, 'x-sign')).toBe('right')
})

test.each([
  [NOW / 1000, true],
  [(NOW - TOLERANCE_MS) / 1000, true],
  [(NOW + TOLERANCE_MS) / 1000, true],
  [(NOW - TOLERANCE_MS - 1) / 1000, false],
  [(NOW + TOLERANCE_MS + 1) / 1000, false],
  ['', false],
  ['now', false],
  ['-1', false],
  ['1e9', false],
  ['NaN', false],
])('the time %s is near enough: %s', (seconds, near) => {
  expect(isRecent(String(seconds), NOW)).toBe(near)
})

test('any of the claimed signatures may be that of any of the secrets, and a part of one is none', () => {
  const sign = (secret: string) => `signed by ${secret}`
  expect(matchesAny(['x', 'signed by b'], ['a', 'b'], sign)).toBe(true)
  expect(matchesAny(['signed by a', 'x'], ['a', 'b'], sign)).toBe(true)
  expect(matchesAny(['signed by', 'signed by ab', ''], ['a', 'b'], sign)).toBe(false)
  expect(matchesAny([], ['a'], sign)).toBe(false)
  expect(matchesAny(['signed by a'], [], sign)).toBe(false)
  expect([isEqual('a', 'a'), isEqual('a', 'a '), isEqual('', 'a')]).toEqual([true, false, false])
})

const from = (more: Partial<Parameters<typeof signalFrom>[0]> = {}) =>
  signalFrom({
    source: 'test',
    key: 'k',
    status: 'firing',
    name: 'alert',
    labels: {},
    startedAt: NOW,
    receivedAt: NOW,
    ...more,
  })

test('what is kept of an alert is bounded, whatever is sent', () => {
  const labels = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`l${n}`, 'v'.repeat(5000)]))
  const { summary, ...signal } = from({
    labels: { ['n'.repeat(500)]: 'x', ...labels },
    name: 'n'.repeat(5000),
    summary: 's'.repeat(5000),
    link: `https://x.example/${'l'.repeat(5000)}`,
  })
  expect(Object.keys(signal.labels)).toHaveLength(64)
  expect(Object.keys(signal.labels)[0]).toHaveLength(200)
  expect(signal.labels.l1).toHaveLength(1000)
  expect([signal.name.length, summary?.length, signal.link?.length]).toEqual([200, 1000, 2000])
  expect(clean('a\0\ud800b')).toBe('a\u{fffd}\u{fffd}b')
})

test('long identities that begin alike are told apart', () => {
  const [one, two] = ['1', '2'].map((end) => from({ key: `${'k'.repeat(300)}${end}` }).dedupKey)
  expect(one).not.toBe(two)
  expect(one?.length).toBeLessThanOrEqual(200)
  expect(from({ key: 'short' }).dedupKey).toBe('short')
})

test.each([
  ['https://grafana.example/a', 'https://grafana.example/a'],
  ['http://prom.local/graph', 'http://prom.local/graph'],
  ['javascript:alert(1)', undefined],
  ['data:text/html,x', undefined],
  ['no address', undefined],
])('the link %s is shown as %s', (link, shown) => {
  expect(from({ link }).link).toBe(shown)
})

test.each([
  [NOW - 5000, NOW - 5000],
  [new Date(NOW - 5000).toISOString(), NOW - 5000],
  // A clock that is ahead would make an alert younger than the run that it is about.
  [NOW + 5000, NOW],
  [-1, NOW],
  ['yesterday', NOW],
  [undefined, NOW],
])('an alert that says it began at %s counts as begun at %s', (startedAt, at) => {
  expect(from({ startedAt }).startedAt).toBe(at)
})

test.each([
  ['7', 7],
  ['007', 7],
  ['-7', undefined],
  ['7.5', undefined],
  ['seven', undefined],
  ['9'.repeat(16), undefined],
])('the label epoch %j is the epoch %s', (epoch, expected) => {
  expect(from({ labels: { epoch } }).epoch).toBe(expected)
})

test('labels in a text are looked for at its beginning alone, and the first of a name counts', () => {
  expect(labelsInText('migration=a epoch: 7', 'migration=b path=new')).toEqual({
    migration: 'a',
    epoch: '7',
    path: 'new',
  })
  expect(labelsInText(`${' '.repeat(10_000)} migration=late`)).toEqual({})
})
