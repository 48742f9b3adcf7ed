import { expect, test } from 'vitest'
import { configOf } from './config.ts'
import { definitionSchema } from './definition.ts'
import type { InstanceFacts } from './fleet.ts'
import { judgeGate } from './gate.ts'
import { parseDefinition } from './parse.ts'
import { initialState } from './state.ts'

const copy = { from: 'a', to: 'b', key: { id: 'id' }, columns: { v: 'v' } }
const definition = definitionSchema.parse({ id: 'm', title: 'M', writes: 'trigger', copy })

test('where triggers carry writes along, instances are told to write the leader alone', () => {
  const told = (['expanded', 'dual-write', 'shadow', 'ramp', 'promoted', 'retired'] as const).map(
    (phase) => configOf(definition, { ...initialState('m', 0), phase }).write,
  )
  expect(told).toEqual(['old', 'old', 'old', 'old', 'new', 'new'])
})

test('an instance that can write old alone keeps no gate closed before somebody is served from new', () => {
  const instance: InstanceFacts = {
    ...{ id: 'one', app: 'a', version: '1', leaseUntil: 1e15, lastSeen: 0, handlers: ['old'], fenced: true },
    ...{ onLeaseExpired: 'hold', applied: 1, drained: 1 },
  }
  const facts = {
    now: 1,
    instances: [instance],
    repairs: { old: 0, new: 0 },
    failedRows: 0,
    hasContractSql: true,
    dependencies: [],
  }
  const codes = (phase: 'expanded' | 'backfill', more: object = {}) =>
    judgeGate({ ...definition, ...more }, { ...initialState('m', 0), phase }, facts).blockers.map(
      ({ code }) => code,
    )
  expect(codes('expanded')).toEqual([])
  expect(codes('expanded', { writes: 'sdk' })).toEqual(['instance-missing-handlers'])
  // Shadow reads compare new.
  expect(codes('backfill')).toEqual(['instance-missing-handlers'])
})

test('triggers reach no other database', () => {
  const yaml = JSON.stringify({ id: 'm', title: 'M', writes: 'trigger', copy: { ...copy, toTarget: 'far' } })
  expect(parseDefinition(yaml, 'migration.yaml')).toMatchObject({ ok: false, problems: [{ path: 'writes' }] })
})
