import { beforeEach, expect, test } from 'vitest'
import { type AddressLimit, createAddressLimit } from './address-limit.ts'

let now: number
let limit: AddressLimit

beforeEach(() => {
  now = 0
  limit = createAddressLimit(3, () => now)
})
const count = (address = 'a') => limit.count(address)

test('what is counted too often within a minute is told how long to wait, and is forgotten after it', () => {
  expect([count(), count(), count()]).toEqual([undefined, undefined, undefined])
  expect(count()).toBe(60)
  now = 59_001
  expect(count()).toBe(1)
  now = 60_000
  expect(count()).toBeUndefined()
})

test('addresses are counted apart', () => {
  for (let n = 0; n < 4; n++) count('a')
  expect(count('b')).toBeUndefined()
  expect(count('a')).toBe(60)
})

test('no more addresses are kept than there is room for, and the one that came longest ago goes first', () => {
  for (const address of ['busy', 'quiet']) for (let n = 0; n < 4; n++) count(address)
  for (let n = 0; n < 9_998; n++) count(`other ${n}`)
  expect(count('busy')).toBe(60)
  // One more than there is room for: the quiet one is forgotten, and not the one that goes on.
  count('one more')
  expect(count('busy')).toBe(60)
  expect(count('quiet')).toBeUndefined()
})
