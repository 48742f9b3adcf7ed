import {
  formatDuration,
  type MigrationDefinition,
  type MigrationSql,
  PHASE_TABLE,
  PHASES,
  type Phase,
  type PhaseRow,
} from '@switchback/migrations-registry'
import { parseSql } from '../sql-text/sql-statements.ts'
import { type PlannedFile, planFile, type StatementPlan } from './statement-plan.ts'

export interface PhasePlan {
  readonly phase: Phase
  readonly meaning: string
  /** What must hold before this phase is entered. */
  readonly gate: readonly string[]
  /** File that runs on the way into this phase. */
  readonly runs?: PlannedFile
  /** Where a revert from here leads, and how long that takes. */
  readonly wayBack: string
  readonly revertsTo?: Phase
  /** `flags`: one commit and a push; `rollback`: the new schema goes, nobody uses it; `slow`: data goes back. */
  readonly way: 'none' | 'flags' | 'rollback' | 'slow'
}

/** What a migration would do, from its folder alone. */
export interface MigrationPlan {
  readonly id: string
  readonly title: string
  readonly target: string
  readonly phases: readonly PhasePlan[]
  readonly statements: readonly StatementPlan[]
  /** The first phase from which the way back takes as long as the data is large. */
  readonly slowFrom?: Phase
}

/** @throws ExecutionError where a SQL file cannot be read as PostgreSQL reads it */
export async function planMigration(
  definition: MigrationDefinition,
  sql: MigrationSql,
): Promise<MigrationPlan> {
  const expand = await parseSql(sql.expand, 'expand.sql')
  const statements = [
    ...(await planFile('expand', sql.expand)),
    ...(sql.rollback === undefined ? [] : await planFile('rollback', sql.rollback, expand)),
    ...(sql.contract === undefined ? [] : await planFile('contract', sql.contract)),
  ]
  const { id, title, target } = definition
  const phases = phasesOf(definition).map((phase) => {
    const row = PHASE_TABLE[phase]
    const way = wayOf(row, sql)
    return {
      phase,
      meaning: row.meaning,
      gate: gateOf(definition, phase, statements),
      ...runsBefore(phase),
      wayBack: wayBack(row, sql),
      ...(row.revertsTo === undefined || way === 'none' ? {} : { revertsTo: row.revertsTo }),
      way,
    }
  })
  const slow = phases.find(({ way }) => way === 'slow')?.phase
  return { id, title, target, phases, statements, ...(slow === undefined ? {} : { slowFrom: slow }) }
}

function wayOf({ phase, revertsTo, revertBy }: PhaseRow, sql: MigrationSql): PhasePlan['way'] {
  if (revertsTo === undefined || (phase === 'expanded' && sql.rollback === undefined)) return 'none'
  if (revertBy === undefined) return 'flags'
  return revertBy === 'rollback' ? 'rollback' : 'slow'
}

/** Without paths there is nothing to copy, and nothing to switch. */
const phasesOf = ({ copy }: MigrationDefinition): readonly Phase[] =>
  copy === undefined ? PHASES.slice(0, 2) : PHASES

function runsBefore(phase: Phase): { readonly runs?: PlannedFile } {
  if (phase === 'expanded') return { runs: 'expand' }
  return phase === 'contracted' ? { runs: 'contract' } : {}
}

function wayBack({ phase, revertsTo, revertBy }: PhaseRow, sql: MigrationSql): string {
  if (revertsTo === undefined) return 'nothing to go back from'
  if (phase === 'expanded' && sql.rollback === undefined) return 'none: there is no rollback.sql'
  if (revertBy === undefined) return `${revertsTo}: flags only, at once`
  const by: Readonly<Record<string, string>> = {
    rollback: 'rollback.sql',
    'reverse-backfill': 'a reverse backfill, while new keeps serving',
    restore: 'restore from the archive',
  }
  return `${revertsTo}: by ${by[revertBy] ?? revertBy}`
}

const approvalsOf = (count: number): string =>
  count === 1
    ? 'another person than who advances has approved'
    : `${count} other people than who advances have approved`

const percent = (share: number): string => `${Number((share * 100).toFixed(3))}%`
const soaked = (ms: number): readonly string[] => (ms > 0 ? [`soaked for ${formatDuration(ms)}`] : [])

function gateOf(
  definition: MigrationDefinition,
  phase: Phase,
  statements: readonly StatementPlan[],
): readonly string[] {
  const drained = ['every instance has drained the epoch before']
  const fenced = definition.fence ? ['the fence is passed: no older transaction can commit'] : []
  const blocking = (file: PlannedFile): readonly string[] =>
    statements.some((statement) => statement.file === file && statement.blocking)
      ? [`${file}.sql holds up traffic: it waits for a maintenance window, where there is one`]
      : []
  switch (phase) {
    case 'planned':
      return []
    case 'expanded':
      return [
        ...definition.dependsOn.map((other) => `${other} is done`),
        'nobody has changed the tables by hand since the last migration',
        'no other migration that is under way touches the same tables in a conflicting way',
        ...blocking('expand'),
      ]
    case 'dual-write':
      return [...drained, 'every instance has handlers for old and new']
    case 'backfill':
      return [...drained, ...fenced]
    case 'shadow':
      return [...drained, ...fenced, 'every row is copied, none has failed']
    case 'ramp':
      return [...drained, ...fenced, 'verification found every row equal', 'no key waits for repair']
    case 'promoted': {
      const steps = definition.rollout.map((step) => {
        const what = 'share' in step ? percent(step.share) : `${step.canary} canary`
        return step.soak > 0 ? `${what} for ${formatDuration(step.soak)}` : what
      })
      return [
        ...drained,
        ...fenced,
        `the rollout went through: ${steps.join(', ')}`,
        'no key waits for repair',
      ]
    }
    case 'retired':
      return [...drained, ...fenced, ...soaked(definition.retire.after), 'no key waits for repair']
    case 'contracted':
      return [
        ...drained,
        ...fenced,
        ...soaked(definition.contract.after),
        approvalsOf(definition.contract.approvals),
        'nothing in the catalog depends on what goes',
        'what goes is archived, read back and compared',
        ...blocking('contract'),
      ]
  }
}
