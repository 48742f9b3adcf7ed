import { conflictsWith } from './compatibility.ts'
import type { MigrationDefinition } from './definition.ts'
import type { InstanceFacts } from './fleet.ts'
import { isLive, stragglerOf } from './fleet.ts'
import { missingAtGate } from './handlers.ts'
import type { Phase, WorkKind } from './phases.ts'
import { atLeast } from './phases.ts'
import { type Asker, isOwn } from './second-person.ts'
import { sentence } from './sentence.ts'
import type { MigrationState, Millis } from './state.ts'
import type { NextStep } from './steps.ts'
import { nextStep, routingAfter } from './steps.ts'
import { formatDuration } from './units.ts'

export const BLOCKER_CODES = [
  'latched',
  'paused',
  'revert-pending',
  'work-running',
  'work-failed',
  'not-verified',
  'rows-failed',
  'repairs-open',
  'soak',
  'approvals-missing',
  'contract-sql-missing',
  'dependency',
  'drift',
  'conflict',
  'window',
  'freeze',
  'load',
  'target-unreachable',
  'target-not-compared',
  'fence-held',
  'instance-not-drained',
  'instance-lapsed',
  'instance-missing-handlers',
  'instance-incompatible',
] as const

export type BlockerCode = (typeof BLOCKER_CODES)[number]

/** One reason why the next step may not be taken yet. */
export interface Blocker {
  readonly code: BlockerCode
  /** Who or what: an instance id, a kind of work, a migration. */
  readonly subject: string
  readonly since?: Millis
  /** When it ends by itself, where that is known. */
  readonly until?: Millis
  readonly message: string
  readonly action: string
  /** Whether an admin may pass over it with a reason: only where no data can be lost. */
  readonly forceable: boolean
}

/** What the gate is judged by, read in the transaction that would commit the step. */
export interface GateFacts {
  readonly now: Millis
  /** Who asks for the step; undefined where the gate is only looked at. */
  readonly asker?: Asker
  readonly instances: readonly InstanceFacts[]
  /** Keys queued for repair, by the path that is behind. Undefined where the target could not be asked. */
  readonly repairs: { readonly old: number; readonly new: number } | undefined
  /** Rows that the backfill could not copy. */
  readonly failedRows: number
  readonly hasContractSql: boolean
  /** What speaks against the step on the side of the schema: drift, other migrations, windows, load. */
  readonly schema?: readonly Blocker[]
  readonly dependencies: readonly {
    readonly id: string
    readonly phase: Phase | undefined
    /** It has no paths, and its schema is there: there is nothing more to come. */
    readonly done?: boolean
  }[]
}

export interface Gate {
  readonly next: NextStep
  readonly blockers: readonly Blocker[]
  readonly open: boolean
  /** The fence must be passed up to this epoch before the step is committed. */
  readonly passFence: number | undefined
}

const MINUTES_IDLE = 'Wait for it, or see its progress.'

/** Judges the next step. Pure: the same facts give the same answer on every server and in simulation. */
export function judgeGate(definition: MigrationDefinition, state: MigrationState, facts: GateFacts): Gate {
  const next = nextStep(definition, state)
  if (next.kind === 'none') return { next, blockers: [], open: false, passFence: undefined }
  const blockers = [
    ...ownBlockers(definition, state, next, facts),
    ...(facts.schema ?? []),
    ...repairBlockers(state, next, facts),
    ...fleetBlockers(definition, state, next, facts),
  ]
  const passFence = definition.fence && atLeast(state.phase, 'dual-write') ? state.epoch : undefined
  return { next, blockers, open: blockers.length === 0, passFence }
}

function ownBlockers(
  definition: MigrationDefinition,
  state: MigrationState,
  next: NextStep,
  facts: GateFacts,
): Blocker[] {
  const { id } = definition
  const blockers: Blocker[] = []
  const add = (
    code: BlockerCode,
    subject: string,
    message: string,
    action: string,
    since?: Millis,
    forceable = false,
  ) =>
    blockers.push({
      code,
      subject,
      message,
      action,
      forceable,
      ...(since === undefined ? {} : { since }),
    })
  if (state.latch !== undefined) {
    add(
      'latched',
      id,
      `Latched after a revert: ${sentence(state.latch.reason)}`,
      `switchback rearm ${id}`,
      state.latch.at,
    )
  }
  if (state.paused)
    add('paused', id, 'The migration is paused.', `switchback pause ${id} --off`, undefined, true)
  if (state.pending !== undefined) {
    const { to, since } = state.pending
    add('revert-pending', id, `A revert to ${to} is under way.`, 'Wait for it.', since)
  }
  const { work } = state
  if (work?.status === 'failed') {
    add(
      'work-failed',
      work.kind,
      `${work.kind} failed: ${work.error ?? 'unknown error'}.`,
      `Remove the cause, then: switchback retry ${id}`,
    )
  } else if (work !== undefined && work.status !== 'done') {
    add('work-running', work.kind, `${work.kind} is ${work.status}.`, MINUTES_IDLE)
  }
  if (state.phase === 'shadow' && !state.complete.new && work?.status === 'done') {
    add('not-verified', id, 'New has not been verified since the last backfill.', MINUTES_IDLE)
  }
  if (state.phase === 'backfill' && facts.failedRows > 0) {
    add(
      'rows-failed',
      id,
      `${facts.failedRows} rows could not be copied.`,
      'See them with GET /v1/migrations/{id}/failed-rows; mend them in old, then retry the backfill.',
    )
  }
  const soak = soakOf(definition, state)
  const left = state.since + soak - facts.now
  if (left > 0) {
    add(
      'soak',
      id,
      `Soaks for another ${formatDuration(left)}.`,
      'Wait, or force with a reason.',
      state.since,
      true,
    )
  }
  if (next.kind === 'work' && next.work === 'contract') {
    const { approvals } = definition.contract
    const { asker } = facts
    // It takes a second person: whoever takes the step cannot be it, by whatever name.
    const others = state.approvals.filter((each) => asker === undefined || !isOwn(each, asker)).length
    const missing = approvals - others
    if (missing > 0) {
      const own = others < state.approvals.length ? `; that of ${asker?.by}, who asks, does not count` : ''
      add(
        'approvals-missing',
        id,
        `${missing} of ${approvals} approvals are missing${own}.`,
        `switchback approve ${id}, by somebody else than who advances`,
      )
    }
    if (!facts.hasContractSql)
      add(
        'contract-sql-missing',
        id,
        'The migration has no contract.sql.',
        'Add it and register the migration again.',
      )
  }
  if (state.phase === 'planned') {
    for (const dependency of facts.dependencies) {
      if (dependency.done === true) continue
      if (dependency.phase === 'contracted' || dependency.phase === 'retired') continue
      add(
        'dependency',
        dependency.id,
        `Depends on ${dependency.id}, which stands at ${dependency.phase ?? 'nothing: it is unknown'}.`,
        `Finish ${dependency.id} first.`,
      )
    }
  }
  return blockers
}

function soakOf(definition: MigrationDefinition, state: MigrationState): number {
  if (state.phase === 'ramp') return definition.rollout[state.rollout.step]?.soak ?? 0
  if (state.phase === 'promoted') return definition.retire.after
  if (state.phase === 'retired') return definition.contract.after
  return 0
}

/** Repairs must be done before the path that is behind is relied upon. */
function repairBlockers(state: MigrationState, next: NextStep, facts: GateFacts): Blocker[] {
  if (!atLeast(state.phase, 'dual-write') || state.phase === 'retired') return []
  if (facts.repairs === undefined) {
    return [
      {
        code: 'target-unreachable',
        subject: 'repairs',
        message: 'The target could not be asked for open repairs.',
        action: 'See that the server reaches the target database.',
        forceable: false,
      },
    ]
  }
  // Under dual-old new is behind where a repair is open; after a revert from promoted it is old.
  const relied: ('old' | 'new')[] = []
  if (state.phase === 'dual-write' && state.from === 'promoted') relied.push('old')
  if (state.phase === 'shadow' || state.phase === 'ramp' || state.phase === 'promoted') relied.push('new')
  if (next.kind === 'phase' && next.to === 'retired') relied.push('new')
  return [...new Set(relied)].flatMap((path) => {
    const open = facts.repairs?.[path] ?? 0
    if (open === 0) return []
    const message = `${open} keys of ${path} wait for repair.`
    return [
      {
        code: 'repairs-open',
        subject: path,
        message,
        action: 'Wait for the repair worker.',
        forceable: false,
      },
    ]
  })
}

function fleetBlockers(
  definition: MigrationDefinition,
  state: MigrationState,
  next: NextStep,
  facts: GateFacts,
): Blocker[] {
  const routing = routingAfter(definition, state, next)
  const blockers: Blocker[] = []
  for (const instance of facts.instances) {
    const named = definition.apps.includes(instance.app)
    if (instance.handlers.length === 0 && !named) continue
    const straggler = stragglerOf(instance, facts.now)
    const missing = straggler.halted ? [] : missingAtGate(definition, routing, instance)
    const forget = `switchback instances forget ${instance.id} once it is certain that it is gone`
    if (missing.length > 0) {
      blockers.push({
        code: 'instance-missing-handlers',
        subject: instance.id,
        since: instance.lastSeen,
        message: `${instance.id} (${instance.app} ${instance.version}) has no handlers for ${missing.join(' and ')}.`,
        action: `Deploy a version of ${instance.app} that has them.`,
        forceable: false,
      })
      continue
    }
    const live = isLive(instance, facts.now)
    if (live && instance.drained < state.epoch) {
      blockers.push({
        code: 'instance-not-drained',
        subject: instance.id,
        since: state.since,
        message: `${instance.id} has ${instance.applied < state.epoch ? 'not applied' : 'not drained'} epoch ${state.epoch}${stuck(instance)}.`,
        action: 'Wait for it; it is a matter of its longest operation.',
        forceable: false,
      })
    }
    if (live) continue
    const conflict = conflictsWith(routing, [straggler], state.history, definition.fence ? state.epoch : 0)[0]
    if (conflict !== undefined) {
      blockers.push({
        code: 'instance-incompatible',
        subject: instance.id,
        since: instance.lastSeen,
        message: `${instance.id} has not been heard of for ${formatDuration(facts.now - instance.lastSeen)} and may still ${conflict.as === 'reader' ? 'serve reads' : 'write'} under epoch ${conflict.epoch}.`,
        action: forget,
        forceable: false,
      })
    } else if (!canBeFencedOff(definition, state, instance)) {
      blockers.push({
        code: 'instance-lapsed',
        subject: instance.id,
        since: instance.leaseUntil,
        message: `${instance.id} has not been heard of for ${formatDuration(facts.now - instance.lastSeen)}, and nothing stops its writes.`,
        action: forget,
        forceable: false,
      })
    }
  }
  return blockers
}

const stuck = ({ oldest }: InstanceFacts): string =>
  oldest === undefined ? '' : `: a ${oldest.kind} has been running for ${formatDuration(oldest.ageMs)}`

/** Whether the fence stops every write that a lapsed instance might still send under a passed epoch. */
function canBeFencedOff(
  definition: MigrationDefinition,
  state: MigrationState,
  instance: InstanceFacts,
): boolean {
  if (!definition.fence || !instance.fenced) return false
  return state.history.every(
    (record) => record.epoch < instance.drained || record.epoch >= state.epoch || record.fenced,
  )
}

/** Which live instances keep database work of the present epoch from starting (I3). */
export function undrained(
  definition: MigrationDefinition,
  state: MigrationState,
  facts: Pick<GateFacts, 'now' | 'instances'>,
): readonly InstanceFacts[] {
  return facts.instances.filter((instance) => {
    if (instance.handlers.length === 0) return false
    if (instance.drained >= state.epoch) return false
    return isLive(instance, facts.now) || !canBeFencedOff(definition, state, instance)
  })
}

/** Work that relies on every writer writing what the phase says; it waits for drain and passes the fence. */
export const reliesOnDrain = (kind: WorkKind): boolean =>
  kind === 'rollback' ||
  kind === 'backfill' ||
  kind === 'verify' ||
  kind === 'reverse-backfill' ||
  kind === 'contract'
