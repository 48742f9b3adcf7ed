import { expect, test } from 'vitest'
import { definitionSchema } from './definition.ts'
import type { Asker } from './second-person.ts'
import { initialState, type MigrationState } from './state.ts'
import { transition } from './transition.ts'

const definition = definitionSchema.parse({
  id: 'profiles',
  title: 'Profiles move',
  copy: { from: 'users', to: 'profiles', key: { user_id: 'id' }, columns: { bio: 'bio' } },
  contract: { approvals: 1 },
})
const context = { definition, now: 5, oldestLive: 0 }
const retired: MigrationState = { ...initialState('profiles', 1), phase: 'retired', epoch: 9 }

const approve = (state: MigrationState, asker: Asker) =>
  transition(state, { type: 'approve', ...asker }, context)
const approvedBy = (asker: Asker): MigrationState => {
  const result = approve(retired, asker)
  if (!result.ok) throw new Error(result.refusal.message)
  return result.state
}
const contractBy = (state: MigrationState, asker: Asker) =>
  transition(state, { type: 'advance', blockers: [], canary: [], asker }, context)

const ANN = { by: 'ann@example.com', person: 'idn_1' }
const BOT = { by: 'deploy bot', person: 'idn_1' }
const BEN = { by: 'ben@example.com', person: 'idn_2' }
const CI = { by: 'ci' }

test.each([
  ['the same name', ANN, ANN],
  ['another name of the same person', ANN, BOT],
  ['a token that bears the name, of whom nothing else is known', ANN, { by: ANN.by }],
  ['the same token', CI, CI],
])('who approved does not advance to contract: %s', (_, approver, asker) => {
  expect(contractBy(approvedBy(approver), asker)).toMatchObject({
    ok: false,
    refusal: { code: 'second-person-needed', message: expect.stringContaining(asker.by) },
  })
  expect(approve(approvedBy(approver), asker)).toMatchObject({
    ok: false,
    refusal: { code: 'already-approved' },
  })
})

test.each([
  ['another person', ANN, BEN],
  ['a token of nobody in particular', ANN, CI],
  ['a person after a token', CI, ANN],
])('somebody else advances: %s', (_, approver, asker) => {
  expect(contractBy(approvedBy(approver), asker)).toMatchObject({
    ok: true,
    state: { work: { kind: 'contract' } },
  })
})

test('of two who approved each may advance where one approval is needed, since the other is left', () => {
  const both = approve(approvedBy(ANN), BEN)
  if (!both.ok) throw new Error(both.refusal.message)
  expect(contractBy(both.state, ANN).ok).toBe(true)
})

test('who approved already with another name is told with which', () => {
  expect(approve(approvedBy(ANN), BOT)).toMatchObject({
    refusal: { message: 'deploy bot has approved already, as ann@example.com.' },
  })
})
