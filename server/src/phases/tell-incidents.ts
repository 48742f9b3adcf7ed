import type { MigrationState, Refusal, RefusalCode, RevertCause } from '@switchback/migrations-registry'
import type { Actor, Command, StoredMigration } from './phase-service.ts'
import type { PhaseTx } from './phase-store.ts'

export const position = (state: MigrationState) => ({ phase: state.phase, epoch: state.epoch })

/** Refusals of automatic reverts after which something goes on that should not. */
const PAGED: readonly RefusalCode[] = [
  'old-incomplete',
  'restore-needed',
  'point-of-no-return',
  'revert-not-safe',
  'target-not-compared',
]

/** What a tripwire or an alert may not do by itself, a person is told of; once for each epoch. */
export async function tellRefused(
  tx: PhaseTx,
  { definition, state }: StoredMigration,
  cause: RevertCause,
  refusal: Refusal,
  at: number,
): Promise<string | undefined> {
  if (cause.kind === 'manual' || !PAGED.includes(refusal.code)) return
  const migration = definition.id
  const { id, isNew } = await tx.openRefused({
    incident: cause.incident ?? '',
    migration,
    cause,
    from: position(state),
    at,
    refusal,
  })
  if (!isNew) return id
  const { by: actor, reason } = cause
  const detail = { incident: id, reason, ...refusal }
  await tx.record({ at, actor, kind: 'revert.refused', subject: migration, detail })
  return id
}

/** Notes in the incident what a command has made of it. */
export async function tellIncidents(
  tx: PhaseTx,
  migration: string,
  asked: Command,
  actor: Actor,
  from: MigrationState,
  to: MigrationState,
  at: number,
): Promise<void> {
  const incident = to.latch?.incident ?? from.latch?.incident
  if (incident === undefined) return
  if (asked.type === 'revert') {
    const cause: RevertCause = { ...asked.cause, by: actor.name, incident }
    await tx.openIncident({ incident, migration, cause, from: position(from), to: position(to), at })
  } else if (asked.type === 'continue-revert') {
    await tx.noteIncident(
      incident,
      at,
      'reverted-further',
      `Went back further, to ${to.phase} (epoch ${to.epoch}).`,
    )
  } else if (asked.type === 'work-done' && asked.kind === 'rollback') {
    await tx.noteIncident(incident, at, 'rolled-back', rolledBackText(asked.detail ?? {}))
  } else if (asked.type === 'rearm') {
    await tx.noteIncident(incident, at, 'rearmed', `Re-armed by ${actor.name}: ${asked.reason}`)
  }
}

function rolledBackText({ verified, left }: Readonly<Record<string, unknown>>): string {
  if (verified === true) return 'The schema is as it was before expand.'
  if (!Array.isArray(left)) return 'rollback.sql has run.'
  return `rollback.sql has run, and the schema is not as it was before expand: ${left.join('; ')}.`
}
