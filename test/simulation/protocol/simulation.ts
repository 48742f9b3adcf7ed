import type { MigrationState } from '@switchback/migrations-registry'
import { currentRouting } from '@switchback/migrations-registry'
import type { StoredMigration } from '@switchback/server/protocol'
import { Database } from '../database/database.ts'
import { table } from '../database/relation.ts'
import { Session } from '../database/session.ts'
import { type FenceMinimum, minimumSequence, SEQUENCE_MINIMUM } from '../database/target.ts'
import { Checker } from '../invariants/checker.ts'
import { Violation } from '../invariants/violation.ts'
import { Network } from '../world/network.ts'
import type { SimProcess } from '../world/process.ts'
import type { Random } from '../world/random.ts'
import { World } from '../world/world.ts'
import { Application, resetValues } from './application.ts'
import { createSimExecution } from './execution.ts'
import type { Mutant } from './mutants.ts'
import { Operator, STRAGGLING_MS } from './operator.ts'
import { Registry } from './registry.ts'
import { drawScenario, type Scenario } from './scenario.ts'
import { SimServer } from './server.ts'
import { defineMigration, stateAt } from './start-state.ts'
import { SimStore } from './store.ts'
import type { StoreContent } from './store-content.ts'
import { FENCES, MIGRATION, TABLES } from './tables.ts'
import { TargetSchema } from './target-schema.ts'
import { wrapStore } from './wrap-store.ts'

export interface RunOptions {
  readonly seed: number
  readonly mutant?: Mutant | undefined
  readonly trace?: boolean
}

export interface RunResult {
  readonly seed: number
  readonly scenario: Scenario
  readonly steps: number
  readonly violation: Violation | undefined
  readonly trace: readonly string[]
}

const LEASE_MS = 300
const HEARTBEAT_MS = 100
const LOOK_MS = 60
const MAX_STEPS = 6_000

const MINIMUM_TABLE = table<number>('switchback.minimum')
/** What the fence must not be built on: a table, of which a snapshot sees what was there when it was taken. */
const tableMinimum = (first: number): FenceMinimum => ({
  read: (on, migration) => on.get(MINIMUM_TABLE, migration) ?? first,
  raise: async (on, migration, epoch) => {
    // The invariants look at the sequence.
    on.setSequence(minimumSequence(migration), epoch)
    await on.upsert(MINIMUM_TABLE, migration, epoch)
  },
})

/** One run of the whole protocol from one seed, up to its end or to the first violation. */
export async function simulate({ seed, mutant, trace: recorded = false }: RunOptions): Promise<RunResult> {
  resetValues()
  const world = new World({ seed, trace: recorded })
  const scenario = drawScenario(world.random.fork())
  world.note(
    'seed',
    () => `${seed}${mutant === undefined ? '' : `, mutant ${mutant}`}: ${JSON.stringify(scenario)}`,
  )
  const run = setUp(world, scenario, mutant)
  let violation: Violation | undefined
  try {
    await run.prepare()
    await world.run({
      maxEvents: MAX_STEPS,
      until: run.endsAt,
      afterEach: () => run.checker.check(),
    })
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    world.note('CHECK', () => error.message)
    violation = error
  }
  const trace = [...world.trace]
  run.end()
  return { seed, scenario, steps: world.steps, violation, trace }
}

function setUp(world: World, scenario: Scenario, mutant: Mutant | undefined) {
  const { random } = world
  const network = new Network(world, {
    delay: [0.2, 1.5],
    slowChance: scenario.slowChance,
    slow: [2, 25],
    loss: scenario.rough ? 0.05 : 0,
    duplication: scenario.rough ? 0.1 : 0,
    notice: [1, 30],
  })
  const db = new Database(world.process('target'), { work: scenario.workMs, deadlockTimeout: [15, 30] })
  const checker = new Checker(db, (what) => world.note('truth', what))
  const store = new SimStore(world, [0.1, 1], (before, after) => checker.stored(before, after))
  const registry = new Registry(world, store, LEASE_MS, HEARTBEAT_MS)
  const schema = new TargetSchema()
  const definition = defineMigration(scenario)
  const state = stateAt(definition, scenario.phase, ['app1', 'app1.2'])
  const minimum = mutant === 'minimum-in-table' ? tableMinimum(state.minimum) : SEQUENCE_MINIMUM
  const archive = new Map<string, string>()
  const shared = { network, db, checker, schema, minimum, mutant }

  const serverOf = (name: string): SimServer => {
    const process = world.process(name)
    process.up = false
    return new SimServer({
      process,
      store,
      registry,
      phaseStore: wrapStore(store.phaseStore(process), process, mutant),
      lookMs: LOOK_MS,
      execution: (by: SimProcess) =>
        createSimExecution(
          {
            ...shared,
            random: world.random.fork(),
            archive,
            state: () => store.content.migrations.get(MIGRATION)?.state,
            // Where the clock has jumped, so has the end of the soak.
            contractRefusal: () =>
              contractRefusal(store.content, server.process.skew === 0 ? world.now : undefined),
          },
          by,
        ),
    })
  }
  const server = serverOf('server')
  const worker = scenario.worker ? serverOf('worker') : undefined

  const apps = Array.from({ length: scenario.apps }, (_, at) => {
    const process = world.process(`app${at + 1}`)
    process.up = false
    return new Application({
      ...shared,
      process,
      endpoint: server,
      random: random.fork(),
      isolation: scenario.isolation,
      keys: scenario.keys,
      rough: scenario.rough,
      onLeaseExpired: scenario.onLeaseExpired[at] ?? 'hold',
      onSecondaryFailure: scenario.onSecondaryFailure,
      keepsId: scenario.keepsIds,
      failing: scenario.failing,
      transactions: scenario.transactions,
      lingering: scenario.lingering[at] ?? 0,
      changes: scenario.changes,
      pauseMs: scenario.pauseMs,
    })
  })
  checker.watch(apps)
  const operator = new Operator({
    world,
    network,
    db,
    store,
    registry,
    server,
    worker,
    apps,
    scenario,
    checker,
    mutant,
  })
  const acts = scenario.actions * ((scenario.actionMs[0] + scenario.actionMs[1]) / 2)
  const endsAt = 330 + acts + (scenario.straggling ? STRAGGLING_MS : 0)

  const prepare = async (): Promise<void> => {
    const migration: StoredMigration = {
      definition,
      sql: { expand: '', rollback: '', contract: '' },
      source: '',
      checksum: '',
      state,
      revision: 1,
      compared: false,
    }
    const content: StoreContent = {
      migrations: new Map([[MIGRATION, migration]]),
      instances: new Map(),
      revision: 1,
      compared: new Map(),
    }
    store.content = content
    checker.stored({ ...content, migrations: new Map() }, content)
    await fillTarget(world, network, db, checker, schema, scenario, state, random.fork())
    server.process.restart(server.main)
    worker?.process.restart(worker.main)
    for (const app of apps) world.at(random.between(5, 40), () => app.process.restart(app.main))
    operator.start()
  }
  /** Nothing of the run is left to wait for anything. */
  const end = (): void => {
    for (const { process } of [server, ...(worker === undefined ? [] : [worker]), ...apps]) process.crash()
  }
  return { prepare, checker, endsAt, end }
}

/** The tables as the phase that is started with has left them. */
async function fillTarget(
  world: World,
  network: Network,
  db: Database,
  checker: Checker,
  schema: TargetSchema,
  { keys, fresh, filled }: Scenario,
  state: MigrationState,
  random: Random,
): Promise<void> {
  const { complete, phase, minimum } = state
  schema.paths.new = phase !== 'planned'
  schema.fence = phase !== 'planned'
  db.sequences.set(minimumSequence(MIGRATION), minimum)
  const writes = currentRouting(MIGRATION, state).write
  const session = new Session(network, world.process('setup'), db)
  for (const key of keys) {
    const value = random.chance(filled) ? `${key}-first` : undefined
    checker.preload(key, value)
    if (value !== undefined && complete.old) void session.insert(TABLES.old, key, value)
    if (value !== undefined && (complete.new || phase === 'shadow'))
      void session.insert(TABLES.new, key, value)
    // Left behind by what went before.
    const stale = random.chance(fresh ? 0 : 0.7) ? `${key}-stale` : undefined
    if (stale === undefined || phase === 'planned') continue
    if (!complete.new && phase !== 'shadow') void session.insert(TABLES.new, key, stale)
    if (!complete.old && writes === 'new') void session.insert(TABLES.old, key, stale)
  }
  if (schema.fence) {
    void session.insert(FENCES, MIGRATION, { passed: minimum, seen: state.epoch, state })
  }
  session.close()
  await world.run()
}

/** I7: what is missing for contract to begin; undefined where nothing is. */
function contractRefusal({ migrations }: StoreContent, now: number | undefined): string | undefined {
  const migration = migrations.get(MIGRATION)
  if (migration === undefined) return 'without a migration'
  const { state, definition } = migration
  if (state.phase !== 'retired') return `in ${state.phase}`
  if (state.approvals.length < definition.contract.approvals) return 'without an approval'
  if (now !== undefined && now < state.since + definition.contract.after - 1) {
    return 'before its soak is over'
  }
  return undefined
}
