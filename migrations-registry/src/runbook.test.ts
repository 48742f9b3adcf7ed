import { describe, expect, test } from 'vitest'
import { judgeGate } from './gate.ts'
import { parseDefinition } from './parse.ts'
import type { Phase } from './phases.ts'
import { PHASES } from './phases.ts'
import { runbookOf } from './runbook.ts'
import { initialState, type MigrationState } from './state.ts'

const NOW = Date.parse('2026-11-22T12:00:00Z')
const LINES = [
  'id: user-profiles',
  'title: Profile columns of users move to their own table',
  'owner: { team: riders, contacts: ["#riders-oncall", "mailto:riders@bimride.example"] }',
]
const COPY = [
  'copy:',
  '  from: users',
  '  to: user_profiles',
  '  key: { user_id: id }',
  '  columns: { bio: bio }',
]
const REST = ['retire: { after: 7d }', 'contract: { after: 14d, approvals: 1 }']

const KINDS: Readonly<Record<string, readonly string[]>> = {
  'one-database': [...LINES, ...COPY, ...REST],
  'two-databases': [...LINES, ...COPY, '  toTarget: profiles', ...REST],
  'schema-only': ['id: an-index', 'title: An index on rides'],
}

function stateAt(phase: Phase): MigrationState {
  const began = initialState('user-profiles', NOW - 3_600_000)
  return {
    ...began,
    phase,
    epoch: 7,
    complete: { old: true, new: true },
    rollout: { step: 0, share: 0.1, canary: [] },
  }
}

const FACTS = {
  now: NOW,
  instances: [],
  repairs: { old: 0, new: 0 },
  failedRows: 0,
  hasContractSql: true,
  dependencies: [],
}

describe.each(Object.entries(KINDS))('a migration of %s', (name, lines) => {
  const parsed = parseDefinition(lines.join('\n'), 'migration.yaml')
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  const { definition } = parsed
  const phases = definition.copy === undefined ? PHASES.slice(0, 2) : PHASES

  test('has a runbook for each phase', async () => {
    const all = phases.map((phase) => {
      const state = stateAt(phase)
      return runbookOf(definition, state, { now: NOW, gate: judgeGate(definition, state, FACTS) })
    })
    await expect(all.join('\n---\n\n')).toMatchFileSnapshot(`./golden/runbook-${name}.md`)
  })
})

test('what is latched, pending, paused or failed is told first', () => {
  const parsed = parseDefinition(KINDS['one-database']?.join('\n') ?? '', 'migration.yaml')
  if (!parsed.ok) throw new Error('not valid')
  const state: MigrationState = {
    ...stateAt('dual-write'),
    latch: { at: NOW, reason: 'new fails 7% of 1000 operations.' },
    pending: { to: 'expanded', reason: 'x', by: 'alert', since: NOW },
    paused: true,
    work: { kind: 'backfill', epoch: 7, status: 'failed', error: 'lock timeout' },
  }
  const text = runbookOf(parsed.definition, state, { now: NOW, gate: undefined })
  for (const each of [
    'Latched',
    'rearm user-profiles',
    'A revert to expanded',
    'Paused',
    'lock timeout',
    'retry',
  ]) {
    expect(text.indexOf(each)).toBeGreaterThan(0)
    expect(text.indexOf(each)).toBeLessThan(text.indexOf('## If something fails'))
  }
})
