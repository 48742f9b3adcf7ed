import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseDefinition } from './parse.ts'

const example = readFileSync(
  new URL('../migrations/2026-11-user-profiles/migration.yaml', import.meta.url),
  'utf8',
)
const problems = (text: string) => {
  const result = parseDefinition(text, 'migration.yaml')
  return result.ok ? [] : result.problems
}

describe('a definition', () => {
  it('of the example is read with its units', () => {
    const result = parseDefinition(example, 'migration.yaml')
    if (!result.ok) throw new Error(JSON.stringify(result.problems))
    const { definition } = result
    expect(definition.rollout).toEqual([
      { canary: 1, soak: 600_000 },
      { share: 0.1, soak: 1_800_000 },
      { share: 0.5, soak: 3_600_000 },
      { share: 1, soak: 86_400_000 },
    ])
    expect(definition.tripwires?.[1]).toMatchObject({ watch: 'latency-p99', above: { timesOld: 1.5 } })
    expect(definition.tripwires?.[3]).toMatchObject({ above: 0.0001 })
    expect(definition.retire.after).toBe(7 * 86_400_000)
  })

  it('names all problems at once, each with line, path, what was found and what is allowed', () => {
    const wrong = [
      'id: User_Profiles',
      'title: ""',
      'colour: red',
      'copy: { from: users, to: user_profiles, key: { user_id: id }, columns: {} }',
      'rollout:',
      '  - { share: 10, soak: 5m }',
      '  - { share: 100% }',
      'retire: { after: soon }',
    ].join('\n')
    const found = problems(wrong)
    expect(found.map(({ line, path }) => `${line} ${path}`)).toEqual(
      expect.arrayContaining([
        '1 id',
        '2 title',
        '3 colour',
        '4 copy.columns',
        '6 rollout[0]',
        '8 retire.after',
      ]),
    )
    expect(found.find(({ path }) => path === 'id')?.message).toMatch(
      /lower-case words.*found "User_Profiles"/,
    )
    expect(found.find(({ path }) => path === 'colour')?.message).toBe('unknown field "colour"')
    expect(found.find(({ path }) => path === 'retire.after')?.message).toMatch(
      /number and a unit.*found "soon"/,
    )
  })

  it.each([
    ['not YAML', 'id: [', /not valid YAML/],
    ['nothing', '', /found nothing/],
    ['a list', '- a', /expected object.*found a list/],
    ['a duplicate field', 'id: a\nid: b', /not valid YAML/],
    [
      'shares that fall',
      'id: a\ntitle: t\ncopy: {from: a, to: b, key: {k: k}, columns: {c: c}}\nrollout: [{share: 50%}, {share: 10%}, {share: 100%}]',
      /climb/,
    ],
    [
      'a rollout that does not end at all',
      'id: a\ntitle: t\ncopy: {from: a, to: b, key: {k: k}, columns: {c: c}}\nrollout: [{share: 50%}]',
      /100%/,
    ],
    [
      'SQL in an identifier',
      'id: a\ntitle: t\ncopy: {from: "users; drop table users", to: b, key: {k: k}, columns: {c: c}}',
      /table or column name/,
    ],
    ['an alias bomb', `a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n`, /./],
  ])('that is %s is refused with a reason', (_, text, message) => {
    const found = problems(text)
    expect(found.length).toBeGreaterThan(0)
    expect(found.map((problem) => problem.message).join('\n')).toMatch(message)
  })
})
