import type { Heartbeat, Path, Position, Registration } from '@switchback/migrations-registry'
import {
  type FleetRefusal,
  judgeForm,
  judgePositions,
  judgeRegistration,
  NOBODY,
  PREVIOUS,
} from '@switchback/server/protocol'
import type { SimProcess } from '../world/process.ts'
import type { World } from '../world/world.ts'
import type { Draft, SimStore } from './store.ts'
import type { InstanceRow, Stand } from './store-content.ts'

export type Refused = { readonly ok: false; readonly error: FleetRefusal }
const refused = (error: FleetRefusal): Refused => ({ ok: false, error })
const UNKNOWN: FleetRefusal = {
  code: 'unknown-instance',
  message: 'This process is not registered under this id.',
  retryable: true,
}

/**
 * The registry of instances. The rules of who may come in are the product's own; what its SQL does to rows
 * (positions only grow, a predecessor is set aside at the least of its positions) is done here in memory.
 */
export class Registry {
  readonly #world: World
  readonly #store: SimStore
  readonly leaseMs: number
  readonly heartbeatMs: number

  constructor(world: World, store: SimStore, leaseMs: number, heartbeatMs: number) {
    this.#world = world
    this.#store = store
    this.leaseMs = leaseMs
    this.heartbeatMs = heartbeatMs
  }

  async register(by: SimProcess, registration: Registration): Promise<{ readonly ok: true } | Refused> {
    const form = judgeForm(registration)
    if (form !== undefined) return refused(form)
    return this.#store.transaction(by, async (lock, writes) => {
      for (const id of Object.keys(registration.migrations)) await lock(id)
      const { migrations, instances } = this.#store.content
      const standings = [...migrations.values()].map(({ definition, state }) => ({
        id: definition.id,
        apps: definition.apps,
        state,
      }))
      const stored = instances.get(registration.instance)
      const refusal = judgeRegistration(
        registration,
        standings,
        stored && {
          ...stored,
          leaseLeft: stored.leaseUntil - this.#world.now,
          migrations: Object.keys(stored.stands),
        },
      )
      if (refusal !== undefined) return refused(refusal)
      writes.push((draft) => this.#write(draft, registration))
      return { ok: true }
    })
  }

  heartbeat(
    by: SimProcess,
    instance: string,
    incarnation: string,
    beat: Heartbeat,
  ): Promise<{ readonly ok: true } | Refused> {
    const contradiction = judgePositions(beat.positions)
    if (contradiction !== undefined) return Promise.resolve(refused(contradiction))
    return this.#store.change(by, (draft) => {
      const row = draft.instances.get(instance)
      if (row?.incarnation !== incarnation) return refused(UNKNOWN)
      for (const [id, { applied }] of Object.entries(beat.positions)) {
        const epoch = draft.migrations.get(id)?.state.epoch
        if (epoch === undefined || applied <= epoch) continue
        const message = `${id}: applied ${applied} is beyond epoch ${epoch}`
        return refused({ code: 'impossible-position', message, retryable: true })
      }
      const stands = { ...row.stands }
      for (const [id, position] of Object.entries(beat.positions)) {
        const stand = stands[id]
        if (stand !== undefined) stands[id] = risen(stand, position)
      }
      draft.instances.set(instance, { ...row, ...this.#lease(), stands })
      return { ok: true }
    })
  }

  goodbye(by: SimProcess, instance: string, incarnation: string): Promise<{ readonly ok: true } | Refused> {
    return this.#store.change(by, ({ instances }) => {
      for (const id of [instance, `${instance}${PREVIOUS}`]) {
        if (instances.get(id)?.incarnation === incarnation) {
          instances.delete(id)
          return { ok: true }
        }
      }
      return refused(UNKNOWN)
    })
  }

  /** A person takes an instance off the books. */
  forget(by: SimProcess, id: string): Promise<void> {
    return this.#store.change(by, ({ instances }) => void instances.delete(id))
  }

  #lease() {
    return { lastSeen: this.#world.now, leaseUntil: this.#world.now + this.leaseMs }
  }

  #write(draft: Draft, registration: Registration): void {
    const { instance, incarnation, app, version, onLeaseExpired } = registration
    const stored = draft.instances.get(instance)
    const same = stored?.incarnation === incarnation ? stored : undefined
    if (stored !== undefined && same === undefined && stored.onLeaseExpired === 'hold') {
      setAside(draft.instances, stored)
    }
    const stands: Record<string, Stand> = { ...same?.stands }
    for (const [id, declared] of Object.entries(registration.migrations)) {
      const { applied, drained } = registration.positions[id] ?? { applied: 0, drained: 0 }
      const before = stands[id]
      const given: Stand = { ...declared, applied, drained }
      stands[id] =
        before === undefined
          ? given
          : {
              ...risen(before, given),
              handlers: union(before.handlers, given.handlers),
              fenced: before.fenced && given.fenced,
            }
    }
    draft.instances.set(instance, {
      id: instance,
      incarnation,
      app,
      version,
      onLeaseExpired,
      ...this.#lease(),
      stands,
    })
  }
}

/** Of the same process no older report counts, in whatever order they come. */
function risen(stand: Stand, { applied, drained, oldest }: Position): Stand {
  const newer = applied >= stand.applied && drained >= stand.drained
  const { oldest: before, ...rest } = stand
  const kept = newer ? oldest : before
  return {
    ...rest,
    applied: Math.max(stand.applied, applied),
    drained: Math.max(stand.drained, drained),
    ...(kept === undefined ? {} : { oldest: kept }),
  }
}

const union = (a: readonly Path[], b: readonly Path[]): readonly Path[] => [...new Set([...a, ...b])].sort()

/** The process that had the id before stays on the books, at the least of all positions of its kind. */
function setAside(instances: Map<string, InstanceRow>, before: InstanceRow): void {
  const id = `${before.id}${PREVIOUS}`
  const other = instances.get(id)
  const stands: Record<string, Stand> = { ...other?.stands }
  for (const [migration, stand] of Object.entries(before.stands)) {
    const aside = stands[migration]
    stands[migration] =
      aside === undefined
        ? stand
        : {
            handlers: union(aside.handlers, stand.handlers),
            fenced: aside.fenced && stand.fenced,
            applied: Math.min(aside.applied, stand.applied),
            drained: Math.min(aside.drained, stand.drained),
          }
  }
  instances.set(id, {
    ...before,
    id,
    incarnation: other === undefined ? before.incarnation : NOBODY,
    onLeaseExpired: 'hold',
    stands,
  })
}
