import type { ChangeRecord, PhaseStore, PhaseTx, StoredMigration } from '@switchback/server/protocol'
import type { SimProcess } from '../world/process.ts'
import type { World } from '../world/world.ts'
import { factsOf, type InstanceRow, type StoreContent } from './store-content.ts'

/** What is changed by one transaction; committed as a whole or not at all. */
export interface Draft {
  migrations: Map<string, StoredMigration>
  instances: Map<string, InstanceRow>
  revision: number
  compared: Map<string, { life: string; revision: number }>
}

/** Called right after each commit. */
export type Committed = (before: StoreContent, after: StoreContent) => void

interface Lock {
  held: boolean
  readonly queue: (() => void)[]
}

const EMPTY: StoreContent = {
  migrations: new Map(),
  instances: new Map(),
  revision: 0,
  compared: new Map(),
}

/**
 * The store as the servers see it: every question takes time, a row that is locked is waited for, a commit is
 * atomic and durable, and whoever asked for it may be dead before the answer comes.
 */
export class SimStore {
  content: StoreContent = EMPTY
  readonly #world: World
  readonly #took: readonly [number, number]
  readonly #committed: Committed
  readonly #locks = new Map<string, Lock>()
  #lives = 1

  constructor(world: World, took: readonly [number, number], committed: Committed) {
    this.#world = world
    this.#took = took
    this.#committed = committed
  }

  /** A copy, as a backup holds it. */
  backup(): StoreContent {
    return this.content
  }

  /** Nobody may be at work on the store. Leases go by the store's time, which has gone on. */
  restore(backup: StoreContent): void {
    this.#world.note('store', () => `is restored to revision ${backup.revision}`)
    this.content = backup
    this.#lives++
    this.#locks.clear()
  }

  /** A migration as a server reads it. */
  find(id: string): StoredMigration | undefined {
    const migration = this.content.migrations.get(id)
    const noted = this.content.compared.get(id)
    if (migration === undefined) return undefined
    const compared = noted?.life === this.#life && noted.revision <= migration.revision
    return { ...migration, compared }
  }

  get #life(): string {
    return `life ${this.#lives}`
  }

  /** One question to the store, in the name of a process. */
  async ask<Result>(process: SimProcess, answer: (content: StoreContent) => Result): Promise<Result> {
    await process.delay(this.#travel())
    const result = answer(this.content)
    await process.delay(this.#travel())
    return result
  }

  /** One statement that changes something and commits by itself. */
  async change<Result>(process: SimProcess, run: (draft: Draft) => Result): Promise<Result> {
    await process.delay(this.#travel())
    const result = this.#commit(run)
    await process.delay(this.#travel())
    return result
  }

  /** Locks a row, runs `work`, and commits what it has put into the draft. */
  async transaction<Result>(
    process: SimProcess,
    work: (lock: (id: string) => Promise<void>, writes: ((draft: Draft) => void)[]) => Promise<Result>,
  ): Promise<Result> {
    const held: Lock[] = []
    const writes: ((draft: Draft) => void)[] = []
    let sent = false
    const { incarnation } = process
    const release = () => {
      for (const lock of held.splice(0)) this.#release(lock)
    }
    // What the store hears of a dead client is nothing more: its transaction is rolled back.
    const forget = process.onCrash(() => {
      if (!sent) release()
    })
    try {
      const result = await work(async (id) => {
        await process.delay(this.#travel())
        const lock = await this.#acquire(process, id)
        held.push(lock)
      }, writes)
      // Killed just now, it had let go of its locks: what it would have sent off is not sent.
      if (process.incarnation !== incarnation) return await new Promise<never>(() => {})
      sent = true
      await new Promise<void>((resolve) => {
        this.#world.at(this.#travel(), () => {
          if (writes.length > 0) this.#commit((draft) => writes.forEach((write) => void write(draft)))
          release()
          // Not to a process that has been started anew meanwhile.
          if (process.up && process.incarnation === incarnation) process.at(this.#travel(), resolve)
        })
      })
      return result
    } catch (error) {
      release()
      throw error
    } finally {
      forget()
    }
  }

  /** The port of the phase service. */
  phaseStore(process: SimProcess): PhaseStore {
    return {
      list: () =>
        this.ask(process, ({ migrations }) => [...migrations.keys()].flatMap((id) => this.find(id) ?? [])),
      find: (id) => this.ask(process, () => this.find(id)),
      // At once: a store is restored while no server is at work on it, so nothing can come in between.
      life: async () => this.#life,
      noteCompared: async (life, id, revision) =>
        this.#commit(({ migrations, compared }) => {
          const now = migrations.get(id)?.revision ?? 0
          if (life === this.#life && now === revision) compared.set(id, { life, revision })
        }),
      tx: (work) => this.transaction(process, (lock, writes) => work(this.#phaseTx(process, lock, writes))),
    }
  }

  #phaseTx(
    process: SimProcess,
    lock: (id: string) => Promise<void>,
    writes: ((draft: Draft) => void)[],
  ): PhaseTx {
    let revision: number | undefined
    const put = (migration: StoredMigration) =>
      writes.push((draft) => void draft.migrations.set(migration.definition.id, migration))
    return {
      lock: async (id) => {
        await lock(id)
        return this.find(id)
      },
      claim: () => process.delay(this.#travel()),
      instances: (id, apps) =>
        this.ask(process, (content) => factsOf(content, id, apps, this.#world.now, process.clock())),
      phasesOf: (ids) =>
        this.ask(process, ({ migrations }) => {
          const known = ids.flatMap((id) => migrations.get(id) ?? [])
          return new Map(known.map(({ definition, state }) => [definition.id, state.phase]))
        }),
      record: async (change: ChangeRecord) => {
        await process.delay(this.#travel())
        const next = this.content.revision + 1 + (change.leap ?? 0)
        revision = next
        writes.push((draft) => {
          draft.revision = next
        })
        return next
      },
      save: async (id, state, saved) => {
        await process.delay(this.#travel())
        const migration = this.content.migrations.get(id)
        if (migration === undefined) throw new Error(`${id} is not in the store`)
        put({ ...migration, state, revision: saved })
      },
      insert: async (migration) => {
        put(revision === undefined ? migration : { ...migration, revision })
      },
      openIncident: async () => {},
      openRefused: async ({ incident }) => ({ id: incident, isNew: false }),
      noteIncident: async () => {},
    }
  }

  #commit<Result>(run: (draft: Draft) => Result): Result {
    const before = this.content
    const draft: Draft = {
      migrations: new Map(before.migrations),
      instances: new Map(before.instances),
      revision: before.revision,
      compared: new Map(before.compared),
    }
    const result = run(draft)
    this.content = draft
    this.#committed(before, draft)
    return result
  }

  #travel(): number {
    return this.#world.random.between(...this.#took)
  }

  #acquire(process: SimProcess, id: string): Promise<Lock> {
    let lock = this.#locks.get(id)
    if (lock === undefined) {
      lock = { held: false, queue: [] }
      this.#locks.set(id, lock)
    }
    const row = lock
    if (!row.held) {
      row.held = true
      return Promise.resolve(row)
    }
    return new Promise((resolve) => {
      const forget = process.onCrash(() => {
        const at = row.queue.indexOf(granted)
        if (at >= 0) row.queue.splice(at, 1)
        else this.#release(row)
      })
      const granted = () =>
        process.at(this.#travel(), () => {
          forget()
          resolve(row)
        })
      row.queue.push(granted)
    })
  }

  #release(lock: Lock): void {
    const next = lock.queue.shift()
    if (next === undefined) lock.held = false
    else next()
  }
}
