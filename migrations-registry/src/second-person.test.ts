import { expect, test } from 'vitest'
import { judgeGate } from './gate.ts'
import type { Asker } from './second-person.ts'
import type { MigrationState } from './state.ts'
import { context, definition, standingAt } from './states-for-tests.ts'
import { transition } from './transition.ts'

const strict = { ...definition, contract: { ...definition.contract, approvals: 1 } }
const approve = (state: MigrationState, asker: Asker) =>
  transition(state, { type: 'approve', ...asker }, context())
const approvedBy = (asker: Asker, state = standingAt('retired')): MigrationState => {
  const result = approve(state, asker)
  if (!result.ok) throw new Error(result.refusal.message)
  return result.state
}
const blockersFor = (state: MigrationState, asker: Asker) =>
  judgeGate(strict, state, {
    now: Number.MAX_SAFE_INTEGER,
    asker,
    instances: [],
    repairs: { old: 0, new: 0 },
    failedRows: 0,
    schema: [],
    hasContractSql: true,
    dependencies: [],
  }).blockers

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
  expect(blockersFor(approvedBy(approver), asker)).toMatchObject([
    { code: 'approvals-missing', message: expect.stringContaining(asker.by) },
  ])
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
  expect(blockersFor(approvedBy(approver), asker)).toEqual([])
})

test('of two who approved each may advance where one approval is needed, since the other is left', () => {
  expect(blockersFor(approvedBy(BEN, approvedBy(ANN)), ANN)).toEqual([])
})

test('who approved already with another name is told with which', () => {
  expect(approve(approvedBy(ANN), BOT)).toMatchObject({
    refusal: { message: 'deploy bot has approved already, as ann@example.com.' },
  })
})
