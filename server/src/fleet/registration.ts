import type { MigrationDefinition, MigrationState, Registration } from '@switchback/migrations-registry'
import { missingAtRegistration, PROTOCOL, refusedText } from '@switchback/migrations-registry'
import { inScope } from '../tokens/tokens.ts'
import { appOutOfScope, EVERYTHING, processOutOfScope, type Registering } from './claims.ts'
import type { FleetRefusal } from './fleet-port.ts'

/** Where a migration stands, as far as taking on an instance must know it. */
export interface MigrationStanding {
  readonly id: string
  readonly apps: readonly string[]
  readonly writes?: MigrationDefinition['writes']
  readonly state: MigrationState
}

/** The instance that is on the books under the same id. */
export interface StoredInstance {
  readonly id: string
  readonly incarnation: string
  readonly onLeaseExpired: 'hold' | 'stop'
  /** Milliseconds; zero or less where the lease has ended. */
  readonly leaseLeft: number
  /** Migrations that it has told of. */
  readonly migrations: readonly string[]
}

/**
 * Name under which the process that had an instance id before stays on the books, when another process took
 * the id over after the lease had ended. Without a goodbye nobody knows whether the earlier one is dead or
 * merely stopped, with operations of its epochs in flight; were it dropped, or its `drained` raised by what
 * its successor reports, the gate would open over those operations. So it keeps its own entry, with the
 * positions it had, which the gate judges like any other lapsed instance: fenced writes are fenced off, reads
 * block where they matter, and it can say goodbye or be forgotten by name. One entry holds all predecessors
 * of an id at the least of their positions, so that a process that dies again and again leaves one.
 */
export const PREVIOUS = '~previous'

/**
 * Incarnation of an entry that holds several predecessors. It is one that no message can carry: none of them may
 * speak for the rest, whose operations may still be in flight, and nobody else for any. Only a person who
 * forgets it by name takes it off the books.
 */
export const NOBODY = ''

/** PostgreSQL takes neither NUL nor half of a surrogate pair; one such name would fail the batch it is in. */
export const storable = (text: string): boolean => !text.includes('\u0000') && !/\p{Surrogate}/u.test(text)

/** What can be said without the store. */
export function judgeForm(registration: Registration): FleetRefusal | undefined {
  const refuse = (message: string): FleetRefusal => ({ code: 'protocol', message, retryable: false })
  const { protocol, instance, incarnation, app, version, migrations, positions } = registration
  if (protocol !== PROTOCOL) {
    return refuse(`This server speaks protocol ${PROTOCOL}, the SDK ${protocol}: use an SDK that fits it.`)
  }
  const names = [instance, incarnation, app, version, ...Object.keys(migrations), ...Object.keys(positions)]
  if (!names.every(storable))
    return refuse('Names must be text that can be stored: no NUL, no halves of characters.')
  if (instance.endsWith(PREVIOUS)) return refuse(`Instance ids ending in ${PREVIOUS} are the server's own.`)
  return judgePositions(positions)
}

/** Positions that contradict themselves. */
export function judgePositions(
  positions: Registration['positions'],
): (FleetRefusal & { code: 'impossible-position' }) | undefined {
  for (const [migration, { applied, drained }] of Object.entries(positions)) {
    if (drained <= applied) continue
    const message = `${migration}: drained ${drained} is beyond applied ${applied}.`
    return { code: 'impossible-position', message, retryable: false }
  }
  return undefined
}

/** An epoch that the server has never given out is not believed. */
const futureEpoch = (migration: string, applied: number, epoch: number): FleetRefusal => ({
  code: 'impossible-position',
  message: `${migration}: applied ${applied} is beyond epoch ${epoch}, the newest there is. Was the store restored from a backup?`,
  // After a restore the epochs are raised above all that were given out; then the instance fits again.
  retryable: true,
})

/** Whether the instance may come in now, judged in the transaction that would write it down. */
export function judgeRegistration(
  registration: Registering,
  standings: readonly MigrationStanding[],
  stored: StoredInstance | undefined,
): FleetRefusal | undefined {
  const { instance, incarnation, sender = EVERYTHING } = registration
  if (stored !== undefined && stored.incarnation !== incarnation && stored.leaseLeft > 0) {
    const seconds = Math.ceil(stored.leaseLeft / 1000)
    return {
      code: 'instance-taken',
      message: `Another process is registered as ${instance}, and its lease lasts another ${seconds} s: give each process an id of its own.`,
      retryable: true,
    }
  }
  const isOwn = stored?.incarnation === incarnation
  if (isOwn && stored.migrations.some((migration) => !inScope(sender, migration))) {
    return processOutOfScope(instance)
  }
  for (const standing of standings) {
    const { id, state } = standing
    const position = registration.positions[id]
    if (position !== undefined && position.applied > state.epoch) {
      return futureEpoch(id, position.applied, state.epoch)
    }
    const { app, version } = registration
    const handlers = registration.migrations[id]?.handlers
    const missing = missingAtRegistration(standing, state, { app, handlers })
    if (missing.length === 0) continue
    if (!inScope(sender, id)) return appOutOfScope(id, app)
    const message = refusedText(id, state.phase, missing, { app, version, handlers })
    return {
      code: 'missing-handlers',
      message: `${message} Deploy a version that has them.`,
      retryable: false,
    }
  }
  return undefined
}
