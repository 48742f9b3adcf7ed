import type { InstanceFacts, Phase, WorkKind } from '@switchback/migrations-registry'
import {
  configOf,
  oldestLiveEpoch,
  PHASE_TABLE,
  PHASES,
  phaseIndex,
  transition,
} from '@switchback/migrations-registry'
import { notCompared } from '../phases/compare.ts'
import type { StoredMigration, WorkRecord } from '../phases/phase-service.ts'
import { toEvent } from '../phases/to-event.ts'

export interface WayBackFacts {
  readonly now: number
  readonly instances: readonly InstanceFacts[]
  readonly works: readonly WorkRecord[]
  /** How long the last reverts took from their commit to the last ack, newest first. */
  readonly lastReverts: readonly number[]
}

/** What a revert would do now, told before it is asked for; judged by the very rules that carry it out. */
export function wayBack(migration: StoredMigration, facts: WayBackFacts, to?: Phase) {
  const { definition, state } = migration
  const { now, instances } = facts
  const event = toEvent(
    {
      type: 'revert',
      cause: { kind: 'manual', reason: 'asked beforehand' },
      ...(to === undefined ? {} : { to }),
    },
    { name: 'preview' },
    migration,
    { now, instances, blockers: [], passed: undefined, oldCurrent: false, incident: 'preview' },
  )
  const oldestLive = oldestLiveEpoch(instances, state.epoch)
  const outcome = transition(state, event, { definition, now, oldestLive })
  const choices = PHASES.filter(
    (phase) =>
      phaseIndex(phase) < phaseIndex(state.phase) &&
      phaseIndex(phase) <= phaseIndex(PHASE_TABLE[state.phase].revertsTo ?? 'planned'),
  )
  const from = { phase: state.phase, epoch: state.epoch }
  if (!outcome.ok || !migration.compared) {
    const refusal = outcome.ok ? notCompared(definition) : outcome.refusal
    const { code, message, action } = refusal
    return { possible: false as const, from, refusal: { code, message, action }, choices: [] }
  }
  const next = outcome.state
  const work = next.work !== undefined && next.work.status === 'pending' ? next.work.kind : undefined
  const { write, read } = configOf(definition, next)
  const target = next.pending?.to ?? (work === 'rollback' ? 'planned' : next.phase)
  const takes = takesOf(next.phase !== state.phase, work, facts)
  return {
    possible: true as const,
    from,
    choices,
    at: next.phase,
    target,
    flags: { write, read },
    ...(work === undefined ? {} : { work }),
    waits: next.pending !== undefined && next.phase === state.phase,
    ...takes,
  }
}

function takesOf(moves: boolean, work: WorkKind | undefined, { works, lastReverts }: WayBackFacts) {
  if (work === 'rollback') {
    return {
      speed: 'work' as const,
      takes: 'rollback.sql runs in the target; its length is that of its statements.',
    }
  }
  if (work === 'reverse-backfill') {
    const copied = works.find((each) => each.kind === 'backfill' && each.endedAt !== undefined)
    const lasted = copied?.endedAt === undefined ? undefined : copied.endedAt - copied.startedAt
    return {
      speed: 'work' as const,
      takes: 'Copies back what was written since, and verifies it; about as long as the backfill took.',
      ...(lasted === undefined ? {} : { likelyMs: lasted }),
    }
  }
  if (!moves) return { speed: 'waits' as const, takes: 'Begins as soon as nobody can be hurt by it.' }
  const [last] = lastReverts
  return {
    speed: 'instant' as const,
    takes: 'One commit and a push; nobody is waited for.',
    ...(last === undefined ? {} : { likelyMs: last }),
  }
}
