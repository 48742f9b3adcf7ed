import { describe, expect, it } from 'vitest'
import { configOf, defaultConfig } from './config.ts'
import { definitionSchema } from './definition.ts'
import { evaluateFlag, type FlagDefinition, type FlagWorld, flagSchema } from './flags.ts'
import { readVariantFor } from './routing.ts'
import { initialState } from './state.ts'
import { bucketOf } from './sticky.ts'
import type { MigrationConfig } from './wire.ts'

const ramp: MigrationConfig = {
  ...defaultConfig('m'),
  epoch: 6,
  phase: 'ramp',
  write: 'dual-old',
  alias: 'use_new',
  read: {
    kind: 'split',
    inside: 'new-shadow',
    outside: 'old-shadow',
    share: 0.25,
    canary: ['can-1'],
    salt: 'm',
  },
}
const world = (flags: readonly FlagDefinition[], instance = 'app-1', config = ramp): FlagWorld => ({
  flag: (key) => flags.find((flag) => flag.key === key),
  migration: (id) => (id === 'm' ? config : undefined),
  aliased: (alias) => (alias === config.alias ? config : undefined),
  instance,
})

describe('the sticky share', () => {
  const keys = Array.from({ length: 20_000 }, (_, i) => `user-${i}`)

  it('takes about the share that it names, whatever the keys look like', () => {
    for (const share of [0.01, 0.1, 0.5, 0.9]) {
      const inside = keys.filter((key) => bucketOf('m', key) < share * 100_000).length
      // Five standard deviations of a binomial: chance of a false alarm below 10⁻⁶.
      expect(Math.abs(inside - share * keys.length)).toBeLessThan(
        5 * Math.sqrt(keys.length * share * (1 - share)),
      )
    }
  })

  it('only ever adds keys as it climbs, and differs by migration', () => {
    const at = (salt: string, share: number) =>
      new Set(keys.filter((key) => bucketOf(salt, key) < share * 100_000))
    const tenth = at('m', 0.1)
    const half = at('m', 0.5)
    expect([...tenth].every((key) => half.has(key))).toBe(true)
    const other = at('n', 0.1)
    expect([...tenth].filter((key) => other.has(key)).length).toBeLessThan(tenth.size / 3)
  })

  it('is the same everywhere: fixed values that no release may change', () => {
    expect([
      bucketOf('user-profiles', 'a'),
      bucketOf('user-profiles', 'b'),
      bucketOf('', ''),
    ]).toMatchInlineSnapshot(`
      [
        63428,
        96408,
        74319,
      ]
    `)
  })

  it('serves everything new to a canary instance, and nothing at share 0', () => {
    const rule = { ...(ramp.read as Extract<MigrationConfig['read'], { kind: 'split' }>), share: 0 }
    expect(readVariantFor(rule, 'x', 'can-1')).toBe('new-shadow')
    expect(keys.every((key) => readVariantFor(rule, key, 'app-1') === 'old-shadow')).toBe(true)
    expect(keys.every((key) => readVariantFor({ ...rule, share: 1 }, key, 'app-1') === 'new-shadow')).toBe(
      true,
    )
  })
})

describe('evaluating', () => {
  it('a migration flag gives the variant, and its alias is true exactly where reads are new', () => {
    const inside =
      Array.from({ length: 100 }, (_, i) => `k${i}`).find((key) => bucketOf('m', key) < 25_000) ?? ''
    const context = { targetingKey: inside }
    expect(evaluateFlag('m.read', context, world([]))).toMatchObject({ value: 'new-shadow', reason: 'SPLIT' })
    expect(evaluateFlag('use_new', context, world([]))).toMatchObject({ value: true, variant: 'on' })
    expect(evaluateFlag('m.write', {}, world([]))).toMatchObject({ value: 'dual-old', reason: 'STATIC' })
    expect(evaluateFlag('m.backfill', {}, world([]))).toMatchObject({ value: false })
  })

  it('a share without targetingKey, or an unknown flag, is an error in words of OpenFeature, never a throw', () => {
    expect(evaluateFlag('m.read', {}, world([]))).toMatchObject({ errorCode: 'TARGETING_KEY_MISSING' })
    expect(evaluateFlag('nope', {}, world([]))).toMatchObject({ errorCode: 'FLAG_NOT_FOUND' })
    expect(evaluateFlag('m.nope', {}, world([]))).toMatchObject({ errorCode: 'FLAG_NOT_FOUND' })
  })

  const flag = flagSchema.parse({
    key: 'new-export',
    requires: { migration: 'm', phase: 'promoted' },
    rules: [{ when: { attribute: 'country', in: ['BD'] }, variant: 'on' }],
    defaultVariant: 'off',
  })

  it('an ordinary flag is off where the schema that it needs is not there', () => {
    const context = { country: 'BD' }
    expect(evaluateFlag('new-export', context, world([flag]))).toMatchObject({
      value: false,
      reason: 'DISABLED',
    })
    const promoted: MigrationConfig = { ...ramp, phase: 'promoted' }
    expect(evaluateFlag('new-export', context, world([flag], 'a', promoted))).toMatchObject({
      value: true,
      reason: 'TARGETING_MATCH',
    })
    expect(evaluateFlag('new-export', { country: 'NL' }, world([flag], 'a', promoted))).toMatchObject({
      value: false,
    })
  })

  it('a flag that was read can be read again: instances are sent what the server has parsed', () => {
    const once = flagSchema.parse({ key: 'x', rules: [{ share: '10%', variant: 'on' }] })
    expect(flagSchema.parse(JSON.parse(JSON.stringify(once)))).toEqual(once)
    expect(flagSchema.safeParse({ key: 'x', rules: [{ share: 10, variant: 'on' }] }).success).toBe(false)
  })

  it('a flag whose rules name variants that it has not is refused when it is defined', () => {
    const result = flagSchema.safeParse({ key: 'x', defaultVariant: 'blue' })
    expect(result.success).toBe(false)
    expect(result.error?.issues[0]?.message).toMatch(/no variant "blue"; there are on, off/)
  })
})

describe('what instances are told', () => {
  const definition = definitionSchema.parse({
    id: 'm',
    title: 't',
    copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { c: 'c' } },
  })
  it.each([
    ['planned', [], false],
    ['expanded', [], true],
    ['ramp', ['new'], true],
    ['promoted', ['new'], true],
    ['retired', [], true],
  ] as const)('in %s guards reads of %j, fenced %s', (phase, guarded, fenced) => {
    const config = configOf(definition, { ...initialState('m', 0), phase })
    expect(config.guarded).toEqual(guarded)
    expect(config.fenced).toBe(fenced)
  })

  it('guards reads of old after a revert from promoted, until the migration goes forward again', () => {
    const back = { ...initialState('m', 0), phase: 'dual-write', from: 'promoted' } as const
    expect(configOf(definition, back).guarded).toEqual(['old'])
    expect(configOf(definition, { ...back, from: 'ramp' }).guarded).toEqual([])
  })
})
