import type {
  Asker,
  Blocker,
  InstanceFacts,
  MigrationEvent,
  RevertCause,
} from '@switchback/migrations-registry'
import { isLive, nextStep, stragglerOf } from '@switchback/migrations-registry'
import type { Actor, Command, StoredMigration } from './phase-service.ts'

export interface EventFacts {
  readonly now: number
  readonly instances: readonly InstanceFacts[]
  /** What still blocks an advance, after those that were passed over by force. */
  readonly blockers: readonly Blocker[]
  readonly passed: number | undefined
  /** What was proven of old for a further step back; see `MigrationEvent`. */
  readonly oldCurrent: boolean
  readonly incident: string
}

const TIMING: ReadonlySet<string> = new Set(['window', 'freeze', 'load'])

/** Turns what somebody asks into what the domain judges, adding what only the server knows. */
export function toEvent(
  command: Command,
  actor: Actor,
  migration: StoredMigration,
  facts: EventFacts,
): MigrationEvent {
  const { definition, sql, state } = migration
  const canRollback = sql.rollback !== undefined
  const atWork = facts.instances
    .filter((instance) => instance.handlers.length > 0)
    .map((instance) => stragglerOf(instance, facts.now))
  switch (command.type) {
    case 'advance': {
      const next = nextStep(definition, state)
      const canaries = next.kind === 'rollout' ? next.canaries : 0
      return {
        type: 'advance',
        blockers: facts.blockers,
        canary: chooseCanaries(facts, canaries),
        ...(facts.passed === undefined ? {} : { passed: facts.passed }),
        ...(command.force?.some((code) => TIMING.has(code)) === true ? { anytime: true } : {}),
      }
    }
    case 'set-rollout':
      return {
        type: 'set-rollout',
        share: command.share ?? 0,
        canary: chooseCanaries(facts, command.canaries ?? 0),
        instances: atWork,
      }
    case 'set-flags':
      return { ...command, instances: atWork }
    case 'approve':
      return { type: 'approve', ...askerOf(actor) }
    case 'revert': {
      const cause: RevertCause = { incident: facts.incident, ...command.cause, by: actor.name }
      const to = command.to === undefined ? {} : { to: command.to }
      const run = command.run === undefined ? {} : { run: command.run }
      const { oldCurrent } = facts
      return { type: 'revert', cause, instances: atWork, canRollback, oldCurrent, ...to, ...run }
    }
    case 'continue-revert':
      return { type: 'continue-revert', instances: atWork, canRollback, oldCurrent: facts.oldCurrent }
    case 'rearm':
      return { type: 'rearm' }
    case 'work-done': {
      const { kind, epoch, divergences, compared } = command
      return {
        type: 'work-done',
        kind,
        epoch,
        ...(divergences === undefined ? {} : { divergences }),
        ...(compared === undefined ? {} : { compared }),
      }
    }
    default:
      return command
  }
}

export const askerOf = ({ name, person }: Actor): Asker => ({
  by: name,
  ...(person === undefined ? {} : { person }),
})

/** Live instances with both handlers, the same choice every time: by id. */
function chooseCanaries({ instances, now }: EventFacts, count: number): readonly string[] {
  return instances
    .filter((instance) => isLive(instance, now) && instance.handlers.length === 2)
    .map((instance) => instance.id)
    .sort()
    .slice(0, count)
}
