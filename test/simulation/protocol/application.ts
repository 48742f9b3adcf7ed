import type { Migration, SecondaryFailure } from '@switchback/sdk'
import { createClient, parseOptions, type Switchback } from '@switchback/sdk/parts'
import type { Database } from '../database/database.ts'
import { Session } from '../database/session.ts'
import type { FenceMinimum } from '../database/target.ts'
import type { Isolation } from '../database/transaction.ts'
import type { Checker } from '../invariants/checker.ts'
import type { Speaker, Value, WriteOp } from '../invariants/operations.ts'
import type { Network } from '../world/network.ts'
import type { SimProcess } from '../world/process.ts'
import type { Random } from '../world/random.ts'
import { lieOf } from './lies.ts'
import { createSimLink, type Endpoint } from './link.ts'
import type { Mutant } from './mutants.ts'
import { MIGRATION } from './tables.ts'
import type { TargetSchema } from './target-schema.ts'
import { type AppTx, createSimPort } from './transaction-port.ts'

export interface ApplicationOptions {
  readonly network: Network
  readonly process: SimProcess
  readonly db: Database
  readonly endpoint: Endpoint
  readonly checker: Checker
  readonly schema: TargetSchema
  readonly random: Random
  readonly mutant: Mutant | undefined
  readonly minimum: FenceMinimum
  readonly isolation: Isolation
  readonly keys: readonly string[]
  readonly rough: boolean
  readonly onLeaseExpired: 'hold' | 'stop'
  readonly onSecondaryFailure: 'repair' | 'fail'
  /** The same id at every start, or one of its own for each. */
  readonly keepsId: boolean
  /** How often a statement of one path fails. */
  readonly failing: number
  /** Share of the operations that are put into one transaction with others. */
  readonly transactions: number
  /** How often one of them is left open for long. */
  readonly lingering: number
  /** Share of the writes that are plain updates, which do nothing where there is no row. */
  readonly changes: number
  readonly pauseMs: readonly [number, number]
}

const quiet = { info: () => {}, warn: () => {}, error: () => {} }
let lastValue = 0

type Routed = Migration<string, AppTx, [], Value, [WriteOp], void, [WriteOp], void>

/** One process of the application: the product's client over the simulated link and target, under traffic. */
export class Application implements Speaker {
  readonly name: string
  readonly fenced = true
  applied = 0
  readonly #options: ApplicationOptions
  #client: Switchback | undefined
  #ready = false
  #closing = false
  #idle: Session[] = []

  constructor(options: ApplicationOptions) {
    this.#options = options
    this.name = options.process.name
  }

  get atWork(): boolean {
    return this.#options.process.up && this.#ready && !this.#closing
  }

  get halted(): boolean {
    return this.#options.onLeaseExpired === 'stop' && (this.#client?.status().leaseLeftMs ?? 0) <= 0
  }

  get process(): SimProcess {
    return this.#options.process
  }

  /** Id under which the server knows it. */
  get instance(): string | undefined {
    return this.#client?.instance
  }

  get registered(): boolean {
    return this.#client?.status().registered === true
  }

  /** What runs at every start of the process. */
  readonly main = (): void => {
    this.applied = 0
    this.#ready = false
    this.#closing = false
    this.#idle = []
    const { process } = this.#options
    this.#run().catch(process.world.fail.bind(process.world))
  }

  /** kill -9. */
  crash(): void {
    this.#options.process.crash()
    this.#ready = false
    this.#options.checker.gone(this)
  }

  /** Ends in good order: waits for what is in flight, then says goodbye. */
  async close(): Promise<void> {
    if (!this.#options.process.up || this.#client === undefined || this.#closing) return
    this.#closing = true
    await this.#client.close()
    this.crash()
  }

  async #run(): Promise<void> {
    const { process, random, checker, keys, pauseMs } = this.#options
    const client = await this.#connect()
    this.#client = client
    const migration = this.#declare(client)
    const follow = () => {
      const before = this.applied
      this.applied = client.status().positions[MIGRATION]?.applied ?? 0
      if (this.applied !== before) {
        process.world.note(process.name, () => `applies epoch ${this.applied}`)
        checker.applied(this, before)
      }
    }
    client.subscribe({ changed: follow })
    // Before the first answer a client does what old does: traffic waits until the instance is ready.
    try {
      await client.ready()
    } catch (error) {
      // Closed before it was let in.
      if (this.#closing) return
      throw error
    }
    follow()
    this.#ready = true
    checker.touch()
    while (!this.#closing) {
      await process.delay(random.between(...pauseMs))
      if (this.#closing) return
      this.#operate(client, migration, random.pick(keys)).catch((error: unknown) => process.world.fail(error))
    }
  }

  async #connect(): Promise<Switchback> {
    const { network, process, endpoint, random, rough, keepsId, onLeaseExpired, mutant } = this.#options
    let ids = 0
    const settings = parseOptions({
      url: 'http://switchback.invalid',
      token: 'simulated',
      app: 'app',
      version: '1',
      instance: keepsId ? process.name : `${process.name}.${process.incarnation}`,
      onLeaseExpired,
      random: random.next,
      log: quiet,
      clock: {
        now: () => process.world.now,
        after: (ms, task) => {
          const timer = process.at(ms, task)
          return () => {
            timer.cancelled = true
          }
        },
      },
    })
    const lie = lieOf(mutant, () => this.#options.checker.oldestRead(this))
    const onMessage = () => this.#options.checker.hears(this)
    const link = createSimLink({ network, process, endpoint, rough, again: [5, 60], lie, onMessage })
    const newId = () => `${process.name}-${process.incarnation}-${++ids}`
    return (await createClient(settings, { link, newId })).client
  }

  #declare(client: Switchback): Routed {
    const { network, process, db, onSecondaryFailure, random, failing } = this.#options
    const port = createSimPort({
      ...this.#options,
      app: this,
      retries: 3,
      beginsEmpty: this.#options.transactions > 0,
      connect: () => {
        for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
          if (!session.lost) return session
        }
        return new Session(network, process, db)
      },
      giveBack: (session) => {
        if (!session.lost) this.#idle.push(session)
      },
      fails: () => random.chance(failing),
    })
    this.#port = port
    return client.migration(MIGRATION, {
      key: (key: string) => key,
      transaction: port,
      read: { old: (key, tx) => tx.get('old', key), new: (key, tx) => tx.get('new', key) },
      write: {
        old: (_key, tx, op: WriteOp) => tx.apply('old', op),
        new: (_key, tx, op: WriteOp) => tx.apply('new', op),
      },
      remove: {
        old: (_key, tx, op: WriteOp) => tx.apply('old', op),
        new: (_key, tx, op: WriteOp) => tx.apply('new', op),
      },
      onSecondaryFailure,
      onSecondaryError: (_failure: SecondaryFailure) => {},
    })
  }

  #port: ReturnType<typeof createSimPort> | undefined

  async #operate(client: Switchback, migration: Routed, key: string): Promise<void> {
    const { random, checker, transactions, process } = this.#options
    const drawn = random.next()
    if (drawn < 0.35) return this.#read(migration, key)
    const op = this.#op(key, drawn < 0.6 ? 'remove' : this.#kindOfWrite())
    try {
      // In `planned` nothing tells which epoch an empty transaction will turn out to be of.
      if (drawn >= 1 - transactions && checker.fenced(this.applied)) {
        return await this.#transact(client, migration, key)
      }
      await (op.kind === 'remove' ? migration.remove(key, op) : migration.write(key, op))
    } catch (error) {
      process.world.note(this.name, () => `${op.kind} ${key} ${op.value ?? ''} failed: ${String(error)}`)
      return
    }
    process.world.note(this.name, () => `${op.kind} ${key} ${op.value ?? ''} is acknowledged`)
    checker.acknowledged(op)
  }

  async #read(migration: Routed, key: string): Promise<void> {
    const { checker, process } = this.#options
    const read = checker.beginRead(this, key)
    let value: Value
    try {
      value = await migration.read(key)
    } catch {
      return checker.readEnded(read)
    }
    process.world.note(this.name, () => `was served ${key} = ${value}, epoch ${read.epoch}`)
    checker.served(read, value)
  }

  /** A transaction of the application's own, with one or two routed operations in it. */
  async #transact(client: Switchback, migration: Routed, key: string): Promise<void> {
    const { random, checker, keys } = this.#options
    if (this.#port === undefined) return
    const ops = [this.#op(key, random.chance(0.4) ? 'remove' : this.#kindOfWrite())]
    const second = random.pick(keys)
    // In the order of the keys, as whoever locks several has to.
    if (second > key) ops.push(this.#op(second, this.#kindOfWrite()))
    await client.transaction(this.#port, async (open) => {
      // A statement of one's own, which fixes what the transaction sees long before it is let in.
      await open.db.look()
      await this.#think()
      const inside = migration.in(open)
      for (const op of ops)
        await (op.kind === 'remove' ? inside.remove(op.key, op) : inside.write(op.key, op))
      await this.#think()
    })
    for (const op of ops) checker.acknowledged(op)
  }

  /** What else is done in a transaction: mostly little. */
  #think(): Promise<void> {
    const { random, process, lingering } = this.#options
    return process.delay(random.chance(lingering) ? random.between(40, 400) : random.between(0, 15))
  }

  #kindOfWrite(): 'put' | 'change' {
    const { random, changes } = this.#options
    return changes > 0 && random.chance(changes) ? 'change' : 'put'
  }

  #op(key: string, kind: WriteOp['kind']): WriteOp {
    return { app: this.name, key, kind, value: kind === 'remove' ? undefined : `v${++lastValue}` }
  }
}

/** Begins the values of a run at one, so that a replay has the same. */
export function resetValues(): void {
  lastValue = 0
}
