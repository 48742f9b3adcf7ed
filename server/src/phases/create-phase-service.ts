import type { Blocker, Gate, GateFacts, MigrationDefinition, Refusal } from '@switchback/migrations-registry'
import {
  guardedPaths,
  initialState,
  judgeGate,
  nextStep,
  oldestLiveEpoch,
  transition,
  undrained,
} from '@switchback/migrations-registry'
import type { Clock, NewId } from '../db/clock.ts'
import { checksumOf } from './checksum.ts'
import {
  comparisonBlockers,
  createCompare,
  needsComparison,
  notCompared,
  type Remembered,
  wasBehind,
} from './compare.ts'
import type {
  Actor,
  Command,
  CommandResult,
  OpenRepairs,
  PhaseService,
  RegisterInput,
  StoredMigration,
} from './phase-service.ts'
import type { PhaseStore, PhaseTx } from './phase-store.ts'
import { position, tellIncidents, tellRefused } from './tell-incidents.ts'
import { askerOf, toEvent } from './to-event.ts'

/** What the gate asks of a target database; `undefined` where it cannot be reached. */
export interface TargetFacts {
  repairs(migration: StoredMigration): Promise<OpenRepairs | undefined>
  failedRows(migration: StoredMigration): Promise<number>
  /** Passes the fence up to `epoch`; blockers where older transactions are still open. */
  passFence(migration: StoredMigration, epoch: number): Promise<readonly Blocker[]>
  /** Tells the target of the state, and is told whether it knows a newer one. */
  remember(migration: StoredMigration): Promise<Remembered>
  /** What speaks against the next step: drift, windows, load. `fresh` looks anew instead of a moment ago. */
  schema?(migration: StoredMigration, fresh: boolean): Promise<readonly Blocker[]>
  /** Which of the other migrations stand in its way, and why. */
  conflicts?(migration: StoredMigration, others: readonly StoredMigration[]): Promise<readonly Blocker[]>
}

export interface PhaseServiceDeps {
  readonly store: PhaseStore
  readonly clock: Clock
  readonly newId: NewId
  readonly target: TargetFacts
  /** What keeps a definition from being taken, as far as the definition alone shows. */
  readonly unfit?: (definition: MigrationDefinition) => Promise<Refusal | undefined>
  /** Told after each commit. */
  readonly announce: (revision: number) => void
}

type FromTarget = Pick<GateFacts, 'repairs' | 'failedRows' | 'schema'>
/** More than a backup can be behind: instances take nothing of a revision below the one that they hold. */
const REVISIONS_LOST = 1_000_000
const NOTHING_ASKED: FromTarget = { repairs: undefined, failedRows: 0 }

const ENGINE = { name: 'engine' }

const AUDIT_KIND: Readonly<Record<Command['type'], string>> = {
  advance: 'migration.advanced',
  'set-rollout': 'migration.rollout-set',
  'set-flags': 'migration.flags-set',
  'set-backfill': 'migration.backfill-set',
  'set-throttle': 'migration.throttle-set',
  pause: 'migration.paused',
  resume: 'migration.resumed',
  approve: 'migration.approved',
  revert: 'migration.reverted',
  'continue-revert': 'migration.reverted-further',
  restore: 'migration.restore-asked',
  verify: 'migration.verification-asked',
  rearm: 'migration.rearmed',
  'retry-work': 'work.retried',
  'fence-passed': 'fence.passed',
  'work-started': 'work.started',
  'work-committing': 'work.committing',
  'work-done': 'work.done',
  'work-failed': 'work.failed',
  'epoch-seen': 'migration.taken-up',
}

/** What was asked of the target, and done there, before the transaction of an advance. */
interface Prepared {
  readonly asked: FromTarget
  /** Who keeps the fence from being passed. */
  readonly fence: readonly Blocker[]
  /** Epoch up to which the fence was passed. */
  readonly passed?: number
  /** False where the gate was closed: then nothing was done at the target. */
  readonly complete: boolean
}

export function createPhaseService(deps: PhaseServiceDeps): PhaseService {
  const { store, clock, newId, target } = deps
  const compare = createCompare({
    store,
    clock,
    remember: target.remember,
    takeUp: (id, seen) => command(id, { type: 'epoch-seen', seen }, ENGINE),
  })

  async function factsOf(
    tx: PhaseTx,
    migration: StoredMigration,
    asked: FromTarget,
    by?: Actor,
  ): Promise<GateFacts> {
    const { definition, sql } = migration
    const instances = await tx.instances(definition.id, definition.apps)
    const others = await othersOf(tx, migration)
    const phases = await tx.phasesOf(definition.dependsOn)
    const dependencies = definition.dependsOn.map((id) => ({
      id,
      phase: phases.get(id),
      done: others.some((other) => other.definition.id === id && isDoneWithoutPaths(other)),
    }))
    const conflicts = (await target.conflicts?.(migration, others)) ?? []
    return {
      now: clock(),
      ...(by === undefined ? {} : { asker: askerOf(by) }),
      instances,
      ...asked,
      schema: [...comparisonBlockers(migration), ...conflicts, ...(asked.schema ?? [])],
      hasContractSql: sql.contract !== undefined,
      dependencies,
    }
  }

  /** Where work on the schema comes next; under a lock, so that of two that would begin at the same time the
   *  second sees the first. */
  async function othersOf(tx: PhaseTx, { definition, state }: StoredMigration) {
    if (nextStep(definition, state).kind !== 'work') return []
    return (await tx.others?.(definition.id)) ?? []
  }

  const askTarget = async (migration: StoredMigration, fresh = false): Promise<FromTarget> => ({
    repairs: await target.repairs(migration),
    failedRows: await target.failedRows(migration),
    schema: (await target.schema?.(migration, fresh)) ?? [],
  })

  async function judge(migration: StoredMigration, by?: Actor): Promise<{ gate: Gate; asked: FromTarget }> {
    const asked = await askTarget(migration, by !== undefined)
    const facts = await store.tx((tx) => factsOf(tx, migration, asked, by))
    return { gate: judgeGate(migration.definition, migration.state, facts), asked }
  }

  /** What an advance must know of the target before the transaction: asked outside of it, so that no lock of
   *  the store is held while the target is waited for. */
  async function prepareAdvance(
    migration: StoredMigration,
    force: readonly string[] | undefined,
    by: Actor,
  ): Promise<Prepared> {
    const { gate, asked } = await judge(migration, by)
    const epoch = gate.passFence
    if (withoutForced(gate.blockers, force).length > 0) return { asked, fence: [], complete: false }
    const fence = epoch === undefined ? [] : await target.passFence(migration, epoch)
    if (fence.length > 0) return { asked, fence, complete: true }
    // Asked anew: what was in flight until now may have queued a repair after the first answer.
    const again = await askTarget(migration)
    return { asked: again, fence, complete: true, ...(epoch === undefined ? {} : { passed: epoch }) }
  }

  /**
   * Whether nothing of old waits for repair and nothing older can queue one: asked before the step back that
   * stops writing new, while new still has what old lacks. Such steps may wait; those that take reads off a
   * failing path ask nothing (I5).
   */
  async function oldIsCurrent(migration: StoredMigration): Promise<boolean> {
    const { definition, state } = migration
    if (state.phase !== 'dual-write' || !guardedPaths(state).includes('old')) return false
    const facts = await store.tx((tx) => factsOf(tx, migration, NOTHING_ASKED))
    if (undrained(definition, state, facts).length > 0) return false
    if (definition.fence && (await target.passFence(migration, state.epoch)).length > 0) return false
    return (await target.repairs(migration))?.old === 0
  }

  async function attempt(
    before: StoredMigration,
    command: Command,
    actor: Actor,
  ): Promise<CommandResult | 'moved' | 'uncompared'> {
    const { id } = before.definition
    if (needsComparison(command) && !before.compared) return 'uncompared'
    const prepared =
      command.type === 'advance' ? await prepareAdvance(before, command.force, actor) : undefined
    const goesBack = command.type === 'revert' || command.type === 'continue-revert'
    const oldCurrent = goesBack && (await oldIsCurrent(before))
    return await store.tx(async (tx): Promise<CommandResult | 'moved' | 'uncompared'> => {
      const migration = await tx.lock(id)
      if (migration === undefined) return unknown(id)
      // Asked again under the lock: no transaction outlives the life of the store in which it began.
      if (needsComparison(command) && !migration.compared) return 'uncompared'
      const { state: from, definition } = migration
      // What was proven about the target was proven for the epoch that was read before.
      if (prepared !== undefined && from.epoch !== before.state.epoch) return 'moved'
      const facts = await factsOf(tx, migration, prepared?.asked ?? NOTHING_ASKED, actor)
      let blockers: readonly Blocker[] = []
      if (command.type === 'advance') {
        const gate = judgeGate(definition, from, facts)
        blockers = [...withoutForced(gate.blockers, command.force), ...(prepared?.fence ?? [])]
        // The gate was closed when it was looked at before, so the fence has not been passed: a lease that has
        // lapsed meanwhile opens it, and its instance could still write under an epoch that must be out of use.
        // And what was asked of the target then may be older than what was in flight.
        const isPrepared = prepared?.complete === true && gate.passFence === prepared.passed
        if (blockers.length === 0 && !isPrepared) return 'moved'
      }
      const event = toEvent(command, actor, migration, {
        now: facts.now,
        instances: facts.instances,
        blockers,
        passed: prepared?.passed,
        oldCurrent: oldCurrent && from.epoch === before.state.epoch,
        incident: newId('inc'),
      })
      const oldestLive = oldestLiveEpoch(facts.instances, from.epoch)
      const outcome = transition(from, event, { definition, now: facts.now, oldestLive })
      if (!outcome.ok) {
        const { refusal } = outcome
        const incident =
          event.type !== 'revert'
            ? undefined
            : await tellRefused(tx, migration, event.cause, refusal, facts.now)
        return {
          ok: false,
          refusal,
          ...(blockers.length === 0 ? {} : { blockers }),
          ...(incident === undefined ? {} : { incident }),
        }
      }
      const { state } = outcome
      const detail = {
        command: command.type === 'epoch-seen' ? { type: command.type } : command,
        from: position(from),
        to: position(state),
      }
      const revision = await tx.record({
        at: facts.now,
        actor: actor.name,
        kind: AUDIT_KIND[command.type],
        subject: id,
        detail,
        ...(command.type === 'epoch-seen' ? { leap: REVISIONS_LOST } : {}),
      })
      await tx.save(id, state, revision, facts.now)
      await tellIncidents(tx, id, command, actor, from, state, facts.now)
      return { ok: true, migration: { ...migration, state, revision } }
    })
  }

  /** Undefined where the migration has now been compared, and the command can be judged. */
  async function compareFirst(
    migration: StoredMigration,
    asked: Command,
    actor: Actor,
  ): Promise<CommandResult | undefined> {
    const { definition } = migration
    const compared = await compare(migration)
    if (compared === 'compared' || compared === 'moved') return undefined
    const refusal = compared === 'unknown' ? notCompared(definition) : wasBehind(definition)
    if (asked.type !== 'revert') return { ok: false, refusal }
    const at = clock()
    // An incident of its own: that of the revert is opened where it is made after all.
    const cause = { ...asked.cause, by: actor.name, incident: newId('inc') }
    const incident = await store.tx((tx) => tellRefused(tx, migration, cause, refusal, at))
    return { ok: false, refusal, ...(incident === undefined ? {} : { incident }) }
  }

  async function command(id: string, asked: Command, actor: Actor): Promise<CommandResult> {
    for (;;) {
      const before = await store.find(id)
      if (before === undefined) return unknown(id)
      // What was looked at here is what is committed upon, or it is looked at again.
      const passed = asked.type === 'advance' ? movedOn(before, asked.epoch) : undefined
      if (passed !== undefined) return { ok: false, refusal: passed }
      const result = await attempt(before, asked, actor)
      if (result === 'moved') continue
      if (result === 'uncompared') {
        const refused = await compareFirst(before, asked, actor)
        if (refused !== undefined) return refused
        continue
      }
      if (result.ok) deps.announce(result.migration.revision)
      return result
    }
  }

  async function register(input: RegisterInput, actor: Actor): Promise<CommandResult> {
    const { id } = input.definition
    const checksum = checksumOf(input)
    const refusal = await deps.unfit?.(input.definition)
    if (refusal !== undefined) return { ok: false, refusal }
    const result = await store.tx(async (tx): Promise<CommandResult> => {
      await tx.claim(id)
      const existing = await tx.lock(id)
      if (existing?.checksum === checksum) return { ok: true, migration: existing }
      if (
        existing !== undefined &&
        (existing.state.phase !== 'planned' || existing.state.work !== undefined)
      ) {
        return {
          ok: false,
          refusal: {
            code: 'definition-in-use',
            message: `${id} stands at ${existing.state.phase}; its definition can be replaced only while it is planned.`,
            action: 'Revert it to planned first, or register the change under a new id.',
          },
        }
      }
      const at = clock()
      const kind = existing === undefined ? 'migration.registered' : 'migration.replaced'
      const revision = await tx.record({ at, actor: actor.name, kind, subject: id, detail: { checksum } })
      const state = existing?.state ?? initialState(id, at)
      // A target may know of an earlier migration of this id, which a restored store has forgotten.
      const migration = { ...input, checksum, state, revision, compared: false }
      await tx.insert(migration, at)
      return { ok: true, migration }
    })
    if (result.ok) deps.announce(result.migration.revision)
    return result
  }

  async function look(id: string): Promise<{ migration: StoredMigration; gate: Gate } | undefined> {
    let migration = await store.find(id)
    if (migration?.compared === false) {
      await compare(migration)
      migration = await store.find(id)
    }
    return migration === undefined ? undefined : { migration, gate: (await judge(migration)).gate }
  }

  return {
    list: () => store.list(),
    get: (id) => store.find(id),
    gate: async (id) => (await look(id))?.gate,
    look,
    command,
    compare,
    register,
  }
}

function movedOn(
  { definition: { id }, state }: StoredMigration,
  epoch: number | undefined,
): Refusal | undefined {
  if (epoch === undefined || epoch === state.epoch) return undefined
  return {
    code: 'moved-on',
    message: `${id} stands at ${state.phase}, epoch ${state.epoch}; the step was to be taken at epoch ${epoch}.`,
    action: 'Look at what has come since, and ask again with the present epoch where it is still wanted.',
  }
}

const isDoneWithoutPaths = ({ definition, state }: StoredMigration): boolean =>
  definition.copy === undefined &&
  state.phase === 'expanded' &&
  (state.work === undefined || state.work.status === 'done')

const unknown = (id: string): CommandResult => ({
  ok: false,
  refusal: {
    code: 'unknown-migration',
    message: `There is no migration "${id}".`,
    action: 'See `switchback migrations`.',
  },
})

/** Blockers that remain after those passed over by force; only such as cannot lose data can be. */
const withoutForced = (blockers: readonly Blocker[], force: readonly string[] = []): readonly Blocker[] =>
  blockers.filter((blocker) => !(blocker.forceable && force.includes(blocker.code)))
