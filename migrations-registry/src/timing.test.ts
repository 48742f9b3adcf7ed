import { describe, expect, it, test } from 'vitest'
import {
  holdsOf,
  isOpen,
  nextOpening,
  parseFreeze,
  parseWindow,
  type TimeWindow,
  windowSchema,
} from './timing.ts'

const window = (text: string): TimeWindow => {
  const parsed = parseWindow(text)
  if (parsed === undefined) throw new Error(`not a window: ${text}`)
  return parsed
}
const at = (text: string): number => Date.parse(text)
const none = { windows: [], freezes: [], load: {} }

test.each([
  ['Sun 02:00-05:00 Asia/Dhaka', '2026-11-21T20:00Z', true],
  ['Sun 02:00-05:00 Asia/Dhaka', '2026-11-21T19:59:59Z', false],
  ['Sun 02:00-05:00 Asia/Dhaka', '2026-11-21T22:59:59Z', true],
  ['Sun 02:00-05:00 Asia/Dhaka', '2026-11-21T23:00Z', false],
  ['Sun 02:00-05:00 Asia/Dhaka', '2026-11-22T20:00Z', false],
  ['Mon-Fri 22:00-04:00 UTC', '2026-11-28T03:59Z', true],
  ['Mon-Fri 22:00-04:00 UTC', '2026-11-28T22:00Z', false],
  ['Mon-Fri 22:00-04:00 UTC', '2026-11-23T03:00Z', false],
  ['sat,sun 0:00-24:00 UTC', '2026-11-22T23:59Z', true],
  ['daily 3:00-4:00 UTC', '2026-11-22T03:30Z', true],
])('%s at %s: open is %s', (text, moment, open) => {
  expect(isOpen(window(text), at(moment))).toBe(open)
})

test.each([
  'Sun 02:00-05:00',
  'Sun 02:00-05:00 Moon/Tranquility',
  'Sunday 02:00-05:00 UTC',
  'Sun 25:00-26:00 UTC',
  'Sun 02:00-02:00 UTC',
  '',
])('"%s" is no window', (text) => {
  expect(windowSchema.safeParse(text).success).toBe(false)
})

describe('the next opening', () => {
  test.each([
    ['later the same day', 'Sun 02:00-05:00 Asia/Dhaka', '2026-11-21T19:00Z', '2026-11-21T20:00Z'],
    [
      'a week later, once it has begun',
      'Sun 02:00-05:00 Asia/Dhaka',
      '2026-11-21T20:00Z',
      '2026-11-28T20:00Z',
    ],
    ['in summer time', 'Sun 04:00-05:00 Europe/Berlin', '2026-07-04T00:00Z', '2026-07-05T02:00Z'],
    ['in winter time', 'Sun 04:00-05:00 Europe/Berlin', '2026-12-05T00:00Z', '2026-12-06T03:00Z'],
    // 02:00 to 03:00 does not exist on 29 March 2026 in Berlin.
    [
      'where the clock jumps over its beginning',
      'Sun 02:30-05:00 Europe/Berlin',
      '2026-03-28T12:00Z',
      '2026-03-29T01:00Z',
    ],
    [
      'where the clock jumps over all of it',
      'Sun 02:15-02:45 Europe/Berlin',
      '2026-03-28T12:00Z',
      '2026-04-05T00:15Z',
    ],
    // 02:00 to 03:00 comes twice on 25 October 2026.
    ['where its hour comes twice', 'Sun 02:30-05:00 Europe/Berlin', '2026-10-24T12:00Z', '2026-10-25T00:30Z'],
  ])('%s', (_, text, now, next) => {
    const found = nextOpening([window(text)], at(now))
    expect(found === undefined ? undefined : new Date(found).toISOString()).toBe(new Date(next).toISOString())
  })
})

describe('what speaks against beginning now', () => {
  it('is nothing where nothing is set', () => {
    expect(holdsOf(none, 0, { connections: 1e6, transactionAgeMs: 1e9, tps: 1e6 })).toEqual([])
  })

  it('is a closed window, with the time at which it opens', () => {
    const timing = { ...none, windows: ['Sun 02:00-05:00 Asia/Dhaka'] }
    expect(holdsOf(timing, at('2026-11-22T12:00Z'))).toMatchObject([
      { code: 'window', until: at('2026-11-28T20:00Z') },
    ])
    expect(holdsOf(timing, at('2026-11-28T20:30Z'))).toEqual([])
  })

  it('is a freeze to the end of its last day, and windows within it do not count', () => {
    const freezes = ['2026-12-20..2027-01-03 Asia/Dhaka']
    expect(parseFreeze(freezes[0] ?? '')).toMatchObject({
      from: at('2026-12-19T18:00Z'),
      to: at('2027-01-03T18:00Z'),
    })
    const timing = { ...none, freezes, windows: ['Sun 02:00-05:00 Asia/Dhaka'] }
    expect(holdsOf(timing, at('2026-12-21T12:00Z'))).toMatchObject([
      { code: 'freeze', until: at('2027-01-03T18:00Z') },
      { code: 'window', until: at('2027-01-09T20:00Z') },
    ])
  })

  it('is load above its limits, each named', () => {
    const timing = { ...none, load: { connections: 10, transactionAge: 5_000, tps: 100 } }
    const busy = { connections: 11, transactionAgeMs: 6_000, tps: 200 }
    expect(holdsOf(timing, 0, busy)).toMatchObject([
      { code: 'load', message: expect.stringMatching(/11 active.*6 s old.*200 transactions/) },
    ])
    expect(holdsOf(timing, 0, { connections: 10, transactionAgeMs: 5_000, tps: undefined })).toEqual([])
  })
})
