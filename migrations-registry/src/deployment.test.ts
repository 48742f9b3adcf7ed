import { describe, expect, test } from 'vitest'
import { definitionSchema, type MigrationDefinition } from './definition.ts'
import { type DeploymentCandidate, judgeDeployment } from './deployment.ts'
import { judgeGate } from './gate.ts'
import { type Path, PHASES, type Phase } from './phases.ts'
import { initialState, type MigrationState } from './state.ts'

const define = (more: object = {}): MigrationDefinition =>
  definitionSchema.parse({
    id: 'm',
    title: 'M',
    apps: ['rides-api'],
    copy: { from: 'a', to: 'b', key: { id: 'id' }, columns: { v: 'v' } },
    ...more,
  })
const standing = (phase: Phase, more: Partial<MigrationState> = {}): MigrationState => ({
  ...initialState('m', 0),
  phase,
  epoch: 7,
  complete: { old: phase !== 'retired' && phase !== 'contracted', new: true },
  ...(phase === 'ramp' ? { rollout: { step: 0, share: 1, canary: [] } } : {}),
  ...more,
})
const candidate = (handlers: readonly Path[] | undefined, fenced = true): DeploymentCandidate => ({
  app: 'rides-api',
  version: '1.4.2',
  known: true,
  declared: handlers === undefined ? undefined : { handlers, fenced },
})
const judged = (
  phase: Phase,
  handlers: readonly Path[] | undefined,
  definition = define(),
  gateOpen = false,
) => {
  const { verdict, findings } = judgeDeployment(definition, standing(phase), candidate(handlers), gateOpen)
  return [verdict, ...findings.map(({ code }) => code)].join(' ')
}

describe('a version of an application that the migration names', () => {
  test.each([
    // phase, undeclared, old alone, new alone, both
    ['planned', 'yes holds-up-next-step', 'yes', 'no refused-now', 'yes'],
    ['expanded', 'yes holds-up-next-step', 'yes holds-up-next-step', 'no refused-now', 'yes'],
    ['dual-write', 'no refused-now', 'no refused-now', 'no refused-now', 'yes'],
    ['backfill', 'no refused-now', 'no refused-now', 'no refused-now', 'yes'],
    ['shadow', 'no refused-now', 'no refused-now', 'no refused-now', 'yes'],
    ['ramp', 'no refused-now', 'no refused-now', 'no refused-now', 'yes'],
    ['promoted', 'no refused-now', 'no refused-now', 'no refused-now', 'yes'],
    ['retired', 'no refused-now', 'no refused-now', 'no excluded-by-revert', 'yes'],
    ['contracted', 'no refused-now', 'no refused-now', 'yes', 'yes'],
  ] as const)('in %s', (phase, undeclared, old, fresh, both) => {
    expect(judged(phase, undefined)).toBe(undeclared)
    expect(judged(phase, ['old'])).toBe(old)
    expect(judged(phase, ['new'])).toBe(fresh)
    expect(judged(phase, ['old', 'new'])).toBe(both)
  })
})

describe('a version that does not declare a migration, which does not name its application either', () => {
  test.each([
    ['planned', 'yes'],
    ['expanded', 'yes not-declared'],
    ['dual-write', 'unknown not-declared'],
    ['ramp', 'unknown not-declared'],
    ['retired', 'unknown not-declared'],
    ['contracted', 'unknown not-declared'],
  ] as const)('in %s: %s', (phase, expected) => {
    expect(judged(phase, undefined, define({ apps: [] }))).toBe(expected)
  })
})

describe('where triggers write the other path, the SDK needs only what it reads and leads', () => {
  const triggers = define({ writes: 'trigger' })
  test.each([
    ['dual-write', ['old'], 'yes'],
    ['backfill', ['old'], 'yes holds-up-next-step'],
    ['shadow', ['old'], 'no refused-now'],
    // The way back to promoted is compared with old, and dual-write reads it.
    ['retired', ['new'], 'no excluded-by-revert'],
    ['contracted', ['new'], 'yes'],
  ] as const)('in %s with %s: %s', (phase, handlers, expected) => {
    expect(judged(phase, handlers, triggers)).toBe(expected)
  })
})

test('the answer says which handlers each step needs, and which are missing', () => {
  expect(judgeDeployment(define(), standing('retired'), candidate(['new']), false)).toMatchObject({
    phase: 'retired',
    epoch: 7,
    needs: ['new'],
    missing: [],
    next: { step: { kind: 'work', work: 'contract', to: 'contracted' }, needs: ['new'], missing: [] },
    back: [
      { to: 'promoted', needs: ['old', 'new'], missing: ['old'] },
      { to: 'dual-write', needs: ['old', 'new'], missing: ['old'] },
      { to: 'expanded', needs: ['old'], missing: ['old'] },
    ],
    findings: [
      {
        message:
          'A revert of m to promoted needs handlers for old, which rides-api 1.4.2 has not: it would fail there.',
        action: 'Keep the handlers for both paths until the migration is contracted.',
      },
    ],
  })
})

test('while contract drops what goes there is no revert that could exclude a version', () => {
  const work = { kind: 'contract', epoch: 7, status: 'running', committing: true } as const
  const { verdict, back } = judgeDeployment(
    define(),
    standing('retired', { work }),
    candidate(['new']),
    false,
  )
  expect({ verdict, back }).toEqual({ verdict: 'yes', back: [] })
})

test('autopilot with an open gate takes the step before a version without its handlers has started', () => {
  const autopilot = define({ autopilot: true })
  expect(judged('expanded', ['old'], autopilot, false)).toBe('yes holds-up-next-step')
  expect(judged('expanded', ['old'], autopilot, true)).toBe('no excluded-by-next-step')
  expect(judged('expanded', ['old'], define(), true)).toBe('yes holds-up-next-step')
})

test('of a version that nobody knows anything is said', () => {
  const unknown: DeploymentCandidate = { ...candidate(undefined), known: false }
  const { verdict, findings } = judgeDeployment(define(), standing('ramp'), unknown, true)
  expect({ verdict, codes: findings.map(({ code }) => code) }).toEqual({
    verdict: 'unknown',
    codes: ['version-unknown'],
  })
})

test('writes past the fence are told of where the migration has one', () => {
  const codes = (definition: MigrationDefinition) =>
    judgeDeployment(definition, standing('ramp'), candidate(['old', 'new'], false), false).findings.map(
      ({ code }) => code,
    )
  expect(codes(define())).toEqual(['not-fenced'])
  expect(codes(define({ fence: false }))).toEqual([])
})

describe('what would hold up the next step is what the gate waits for', () => {
  const sets: readonly (readonly Path[] | undefined)[] = [undefined, [], ['old'], ['new'], ['old', 'new']]
  test.each(PHASES)('in %s', (phase) => {
    for (const apps of [['rides-api'], []]) {
      for (const handlers of sets) {
        const definition = define({ apps })
        const state = standing(phase)
        const deployment = judgeDeployment(definition, state, candidate(handlers), false)
        const gate = judgeGate(definition, state, {
          now: 1,
          instances: [
            {
              id: 'i',
              app: 'rides-api',
              version: '1.4.2',
              leaseUntil: 2,
              lastSeen: 0,
              handlers: handlers ?? [],
              fenced: true,
              onLeaseExpired: 'hold',
              applied: 7,
              drained: 7,
            },
          ],
          repairs: { old: 0, new: 0 },
          failedRows: 0,
          hasContractSql: true,
          dependencies: [],
        })
        const waits = gate.blockers.some(({ code }) => code === 'instance-missing-handlers')
        expect({ apps, handlers, holdsUp: (deployment.next?.missing ?? []).length > 0 }).toEqual({
          apps,
          handlers,
          holdsUp: waits,
        })
      }
    }
  })
})
