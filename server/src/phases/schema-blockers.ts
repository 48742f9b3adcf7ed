import {
  type Blocker,
  type Hold,
  holdsOf,
  type Load,
  type MigrationDefinition,
  type MigrationSql,
  nextStep,
  type Timing,
  type WorkKind,
} from '@switchback/migrations-registry'
import { differenceText } from '../catalog/compare-catalogs.ts'
import { claimsOf, conflictBetween } from '../catalog/conflicts.ts'
import { driftIn, type SchemaState } from '../catalog/ledger.ts'
import { touchedBy } from '../catalog/touched.ts'
import type { Execution } from '../execution/execution-port.ts'
import { planFile } from '../plan/statement-plan.ts'
import { parseSql } from '../sql-text/sql-statements.ts'
import type { TargetFacts } from './create-phase-service.ts'
import type { StoredMigration } from './phase-service.ts'

export interface SchemaBlockersDeps {
  readonly executionFor: (definition: MigrationDefinition) => Pick<Execution, 'schema' | 'load'>
  /** Windows, freezes and limits of a target. */
  readonly timingOf: (target: string) => Timing | Promise<Timing>
  readonly clock: () => number
  readonly onFault: (error: unknown, during: string) => void
}

/** A catalog takes time to read; a page that is looked at, and a round of the engine, can do with one a little old. */
const KEPT_MS = 15_000
const NAMED = 5

type SchemaPort = Required<Pick<TargetFacts, 'schema' | 'conflicts'>> & {
  /** What keeps work of this kind from going on at this moment. */
  readonly holds: (
    migration: Pick<StoredMigration, 'definition' | 'sql'>,
    kind: WorkKind,
  ) => Promise<readonly Hold[]>
}

/** What speaks against a step on the side of the schema. */
export function createSchemaBlockers(deps: SchemaBlockersDeps): SchemaPort {
  const kept = new WeakMap<
    object,
    { readonly at: number; readonly states: Promise<readonly SchemaState[]> }
  >()

  function statesOf(definition: MigrationDefinition, fresh: boolean): Promise<readonly SchemaState[]> {
    const execution = deps.executionFor(definition)
    const known = kept.get(execution)
    if (!fresh && known !== undefined && deps.clock() - known.at < KEPT_MS) return known.states
    const states = execution.schema()
    kept.set(execution, { at: deps.clock(), states })
    states.catch(() => kept.delete(execution))
    return states
  }

  async function driftOf({ definition, sql }: StoredMigration, fresh: boolean): Promise<readonly Blocker[]> {
    try {
      const touched = touchedBy(await statementsOf(definition, sql))
      const states = await statesOf(definition, fresh)
      const found = states.flatMap((state) => driftIn(state, touched))
      if (found.length === 0) return []
      const more = found.length > NAMED ? `, and ${found.length - NAMED} more` : ''
      const text = found.slice(0, NAMED).map(differenceText).join('; ')
      return [
        {
          code: 'drift',
          subject: definition.target,
          message: `The schema is not as the migrations have left it: ${text}${more}.`,
          action: `Put it back, or accept it: switchback drift ${definition.id} --accept --reason …`,
          forceable: true,
        },
      ]
    } catch (error) {
      // An unreachable target has a blocker of its own, where it is needed.
      deps.onFault(error, `schema of ${definition.target}`)
      return []
    }
  }

  const holds: SchemaPort['holds'] = async ({ definition, sql }, kind) => {
    if (kind !== 'expand' && kind !== 'contract') return []
    const own = definition[kind]
    const target = await deps.timingOf(definition.target)
    const blocking = await isBlocking(kind, sql)
    const timing: Timing = {
      windows: own.window ?? (blocking ? target.windows : []),
      freezes: blocking ? target.freezes : [],
      load: own.load ?? (blocking ? target.load : {}),
    }
    const limited = Object.keys(timing.load).length > 0
    let load: Load | undefined
    try {
      load = limited ? await deps.executionFor(definition).load() : undefined
    } catch (error) {
      deps.onFault(error, `load of ${definition.target}`)
    }
    return holdsOf(timing, deps.clock(), load)
  }

  return {
    holds,
    schema: async (migration, fresh) => {
      const next = nextStep(migration.definition, migration.state)
      if (next.kind === 'none') return []
      const drift = await driftOf(migration, fresh)
      if (next.kind !== 'work') return drift
      const held = await holds(migration, next.work)
      return [...drift, ...held.map((hold) => holdBlocker(hold, migration.definition))]
    },
    conflicts: async (migration, others) => {
      const { definition, state } = migration
      // Once the new schema is there, what is still to come is what contract drops.
      const own = await claimsOf(migration, state.phase === 'planned' ? ['expand', 'contract'] : ['contract'])
      const blockers: Blocker[] = []
      for (const other of others) {
        if (!isUnderWay(other) || !shareTarget(definition, other.definition)) continue
        if (definition.dependsOn.includes(other.definition.id)) continue
        if (other.definition.dependsOn.includes(definition.id)) continue
        const names = { own: definition.id, other: other.definition.id }
        const why = conflictBetween(own, await claimsOf(other), names)
        if (why === undefined) continue
        blockers.push({
          code: 'conflict',
          subject: other.definition.id,
          message: `In conflict with ${other.definition.id}, which stands at ${other.state.phase}: ${why}.`,
          action: `Finish ${other.definition.id} first, or put one after the other with dependsOn.`,
          forceable: false,
        })
      }
      return blockers
    },
  }
}

const statementsOf = async ({ copy }: MigrationDefinition, sql: MigrationSql) => {
  const files = ['expand', 'rollback', 'contract'] as const
  const own = await Promise.all(
    files.map((file) => (sql[file] === undefined ? [] : parseSql(sql[file], `${file}.sql`))),
  )
  // What is copied from and to is touched as well, whether a statement says so or not.
  const copied =
    copy === undefined ? [] : await parseSql(`table ${copy.from}; table ${copy.to}`, 'migration.yaml')
  return [
    ...own.flat().filter(({ node }) => !('SelectStmt' in node)),
    ...copied.map(({ node }) => ({ node: { CopyStmt: { query: node } } })),
  ]
}

async function isBlocking(file: 'expand' | 'contract', sql: MigrationSql): Promise<boolean> {
  const text = sql[file]
  if (text === undefined) return false
  const plans = await planFile(file, text).catch(() => [])
  return plans.some(({ blocking }) => blocking)
}

const holdBlocker = ({ code, message, until }: Hold, { id, target }: MigrationDefinition): Blocker => {
  const when =
    until === undefined ? 'It ends by itself' : `It ends by itself at ${new Date(until).toISOString()}`
  return {
    code,
    subject: target,
    message,
    action: `${when}; or: switchback advance ${id} --force ${code} --reason …`,
    forceable: true,
    ...(until === undefined ? {} : { until }),
  }
}

/** It has begun, and has not ended. */
function isUnderWay({ definition, state }: StoredMigration): boolean {
  const atWork = state.work !== undefined && state.work.status !== 'done'
  if (state.phase === 'planned') return atWork
  if (state.phase === 'contracted') return atWork
  return definition.copy !== undefined || state.phase !== 'expanded' || atWork
}

function shareTarget(one: MigrationDefinition, other: MigrationDefinition): boolean {
  const of = ({ target, copy }: MigrationDefinition) => [target, copy?.toTarget ?? target]
  return of(one).some((name) => of(other).includes(name))
}
