import type { Blocker, NextStep, Phase } from '@switchback/migrations-registry'
import { judgeGate, PHASE_TABLE, phaseAfter } from '@switchback/migrations-registry'
import { type FleetCounts, NO_INSTANCES } from '../fleet/fleet-counts.ts'
import { comparisonBlockers } from '../phases/compare.ts'
import type { OverviewMigration, WorkUnderWay } from './overview-store.ts'

/** Which way a migration goes, in one word. */
export const DIRECTIONS = [
  'planned',
  'advancing',
  'holding',
  'ready',
  'reverting',
  'reverted',
  'done',
] as const
export type Direction = (typeof DIRECTIONS)[number]

export interface OverviewRow {
  readonly id: string
  readonly title: string
  readonly team?: string
  readonly phase: Phase
  readonly epoch: number
  readonly since: number
  readonly revision: number
  readonly direction: Direction
  /** Whether somebody should look at it now. */
  readonly attention: boolean
  readonly rollout?: {
    readonly step: number
    readonly steps: number
    readonly share: number
    readonly canaries: number
  }
  readonly next: NextStep
  readonly holds: readonly Pick<Blocker, 'code' | 'message' | 'action'>[]
  readonly work?: WorkUnderWay & { readonly status: string; readonly error?: string }
  readonly fleet: FleetCounts
  readonly openIncidents: number
  readonly incident?: string
  readonly revertsTo?: Phase
  /** Without paths: planned, then expanded, and done. */
  readonly short: boolean
  /** Milliseconds until the work, or else the soak, is over; undefined where nothing tells. */
  readonly etaMs?: number
}

interface Known {
  readonly now: number
  readonly fleet: FleetCounts | undefined
  readonly work: WorkUnderWay | undefined
  readonly phases: ReadonlyMap<string, Phase>
}

/** Of what a list needs to say; the migration's own page asks the target and each instance. */
export function overviewRow(migration: OverviewMigration, known: Known): OverviewRow {
  const { definition, state, revision, openIncidents } = migration
  const { id, title, owner, copy } = definition
  const fleet = known.fleet ?? NO_INSTANCES
  const gate = judgeGate(definition, state, {
    now: known.now,
    instances: [],
    repairs: { old: 0, new: 0 },
    failedRows: 0,
    hasContractSql: migration.hasContractSql,
    dependencies: definition.dependsOn.map((other) => ({ id: other, phase: known.phases.get(other) })),
  })
  const late = fleet.live - fleet.drained
  const undrained: Pick<Blocker, 'code' | 'message' | 'action'>[] =
    late === 0 || gate.next.kind === 'none'
      ? []
      : [
          {
            code: 'instance-not-drained',
            message: `${late} of ${fleet.live} live instances have not drained epoch ${state.epoch}.`,
            action: 'See its fleet.',
          },
        ]
  const holds = [
    ...[...comparisonBlockers(migration), ...gate.blockers].map(({ code, message, action }) => ({
      code,
      message,
      action,
    })),
    ...undrained,
  ]
  const row = PHASE_TABLE[state.phase]
  const work =
    state.work === undefined || state.work.status === 'done'
      ? undefined
      : {
          ...(known.work ?? { progress: {} }),
          kind: state.work.kind,
          epoch: state.work.epoch,
          status: state.work.status,
          ...(state.work.error === undefined ? {} : { error: state.work.error }),
        }
  const soak = gate.blockers.find((blocker) => blocker.code === 'soak')
  const etaMs = work?.progress.etaMs ?? (soak === undefined ? undefined : soakLeft(migration, known.now))
  return {
    id,
    title,
    ...(owner === undefined ? {} : { team: owner.team }),
    phase: state.phase,
    epoch: state.epoch,
    since: state.since,
    revision,
    direction: directionOf(migration, holds.length, gate.next),
    attention:
      state.latch !== undefined ||
      state.work?.status === 'failed' ||
      openIncidents > 0 ||
      !migration.compared,
    ...(state.phase === 'ramp'
      ? {
          rollout: {
            step: state.rollout.step,
            steps: definition.rollout.length,
            share: state.rollout.share,
            canaries: state.rollout.canary.length,
          },
        }
      : {}),
    next: gate.next,
    holds,
    ...(work === undefined ? {} : { work }),
    fleet,
    openIncidents,
    ...(state.latch?.incident === undefined ? {} : { incident: state.latch.incident }),
    ...(row.revertsTo === undefined || state.phase === 'contracted' ? {} : { revertsTo: row.revertsTo }),
    short: copy === undefined,
    ...(etaMs === undefined ? {} : { etaMs }),
  }
}

function soakLeft({ definition, state }: OverviewMigration, now: number): number {
  const soaks: Partial<Record<Phase, number>> = {
    ramp: definition.rollout[state.rollout.step]?.soak ?? 0,
    promoted: definition.retire.after,
    retired: definition.contract.after,
  }
  return Math.max(0, state.since + (soaks[state.phase] ?? 0) - now)
}

function directionOf({ definition, state }: OverviewMigration, holds: number, next: NextStep): Direction {
  if (state.pending !== undefined || state.work?.kind === 'rollback') return 'reverting'
  if (state.latch !== undefined) return 'reverted'
  if (next.kind === 'none' && phaseAfter(state.phase) !== undefined && definition.copy !== undefined) {
    return 'holding'
  }
  if (next.kind === 'none') return 'done'
  if (state.work?.status === 'failed' || state.paused) return 'holding'
  if (state.work !== undefined && state.work.status !== 'done') return 'advancing'
  if (state.phase === 'planned') return holds === 0 ? 'planned' : 'holding'
  if (holds > 0) return 'holding'
  return definition.autopilot ? 'advancing' : 'ready'
}

const RANK: Readonly<Record<Direction, number>> = {
  reverting: 0,
  reverted: 1,
  advancing: 2,
  ready: 3,
  holding: 4,
  planned: 5,
  done: 6,
}

/** Who needs a person first, then what moves, then what rests. */
export const byUrgency = (a: OverviewRow, b: OverviewRow): number =>
  Number(b.attention) - Number(a.attention) ||
  RANK[a.direction] - RANK[b.direction] ||
  a.id.localeCompare(b.id)
