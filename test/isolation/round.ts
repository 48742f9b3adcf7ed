import type { MigrationConfig } from '@switchback/migrations-registry'
import type { Execution, WorkOrder } from '@switchback/server'
import { type Client, type ClientOptions, createClient } from './client.ts'
import type { Commit, History, Initial, Isolation } from './history.ts'
import type { Laboratory } from './laboratory.ts'
import { definition, MIGRATION } from './migration.ts'
import { type Actor, type Choose, createStepper, type Stepper } from './stepper.ts'

/** What is changed in statements on their way to PostgreSQL: guards that are taken out. */
export interface Rewrites {
  readonly engine: (text: string) => string
  readonly application: (text: string) => string
  /** Of each database, where there are two. */
  readonly half?: ClientOptions['half']
  /** Run before each round. */
  readonly reset?: string
}

export const UNCHANGED: Rewrites = { engine: (text) => text, application: (text) => text }

export type Body = (actor: Actor) => Promise<void>

/** What a scenario is made with. */
export interface Round {
  readonly level: Isolation
  client(name: string, config: MigrationConfig, options?: ClientOptions): Client
  /** The operations of `client` one after the other, by the actor of its name. */
  writer(client: Client, ...operations: ((client: Client) => Promise<unknown>)[]): void
  /** Work of the engine by an actor. */
  engine(name: string, work: (execution: Execution, actor: Actor) => Promise<unknown>): void
  /** Any other actor. */
  actor(name: string, body: Body): void
  /** Passes the fence as the engine does before its work: until nothing older is left. */
  passFence(execution: Execution, epoch: number): Promise<void>
}

export interface Scenario {
  readonly name: string
  readonly initial: Initial
  /** Whether the paths are equal without verification, apart from keys in the queue. */
  readonly equalAtOnce: boolean
  /** Whether applications may meet a deadlock, which the SDK makes good. */
  readonly mayDeadlock?: true
  /** Who leads in the end. */
  readonly leader: 'old' | 'new'
  /** What all write in the end, for what comes after. */
  readonly config: MigrationConfig
  readonly cast: (round: Round) => void
}

export const orderOf = (epoch: number): WorkOrder => ({
  definition,
  sql: { expand: '' },
  epoch,
  signal: new AbortController().signal,
  report: () => undefined,
  heldBackBy: () => undefined,
  committing: async () => undefined,
})

/** Plays one scenario in the order that `choose` says. */
export async function playRound(
  laboratory: Laboratory,
  scenario: Scenario,
  level: Isolation,
  choose: Choose,
  rewrites: Rewrites = UNCHANGED,
): Promise<History> {
  await laboratory.reset(scenario.initial, rewrites.reset)
  const stepper = createStepper({ waiting: laboratory.waiting, patienceMs: 20_000 })
  const bodies = new Map<string, Body>()
  const commits: Commit[] = []
  const passed: { epoch: number; at: number }[] = []
  const reads: History['reads'][number][] = []
  const refused: { actor: string; error: unknown }[] = []
  let deadlocks = 0
  const round: Round = {
    level,
    client: (name, config, options = {}) =>
      createClient({
        name,
        config,
        options,
        port: (hooks) => laboratory.port(hooks, level, { half: rewrites.half, ...options }),
        stepper,
        rewrite: rewrites.application,
        onCommit: (commit) => commits.push(commit),
        onRead: (read) => reads.push(read),
        onDeadlock: () => {
          deadlocks += 1
        },
      }),
    writer: (client, ...operations) => {
      bodies.set(client.name, async (actor) => {
        client.actor = actor
        for (const operation of operations) {
          await operation(client).catch((error: unknown) => refused.push({ actor: client.name, error }))
        }
        await client.idle()
      })
    },
    engine: (name, work) => {
      bodies.set(name, async (actor) => {
        await work(laboratory.engine(actor, stepper, rewrites.engine), actor)
      })
    },
    actor: (name, body) => void bodies.set(name, body),
    passFence: async (execution, epoch) => {
      for (;;) {
        const { passed: done } = await execution.passFence(MIGRATION, epoch)
        if (!done) continue
        passed.push({ epoch, at: stepper.now })
        return
      }
    },
  }
  scenario.cast(round)
  const trace = await stepper.run(bodies, choose)
  return { trace, commits, passed, reads, refused, deadlocks }
}

/** A client without a scheduler, for what comes after a round. */
export const freeClient = (laboratory: Laboratory, stepper: Stepper, config: MigrationConfig): Client =>
  createClient({
    name: 'after',
    config,
    options: {},
    port: (hooks) => laboratory.port(hooks, 'read committed', {}),
    stepper,
    rewrite: (text) => text,
    onCommit: () => undefined,
    onRead: () => undefined,
    onDeadlock: () => undefined,
  })
