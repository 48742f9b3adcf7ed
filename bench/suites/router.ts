import {
  basicLogger,
  createMigration,
  init,
  LDConcurrentExecution,
  LDMigrationStage,
  LDMigrationSuccess,
} from '@launchdarkly/node-server-sdk'
import { TestData } from '@launchdarkly/node-server-sdk/integrations'
import { FlagdCore } from '@openfeature/flagd-core'
import {
  defaultConfig,
  type MigrationConfig,
  type ReadRule,
  readVariantFor,
} from '@switchback/migrations-registry'
import { connect } from '@switchback/sdk'
import type { SuiteResult } from '../main.ts'
import { type Contestant, compareCalls } from '../measure.ts'

/** LaunchDarkly's stages and the flags of the phase that each stands for (design of both in their docs). */
const STAGES = {
  off: { write: 'old', read: 'old' },
  dualwrite: { write: 'dual-old', read: 'old' },
  shadow: { write: 'dual-old', read: 'old-shadow' },
  live: { write: 'dual-new', read: 'new-shadow' },
  rampdown: { write: 'dual-new', read: 'new' },
  complete: { write: 'new', read: 'new' },
} as const
type Stage = keyof typeof STAGES
const NAMES = Object.keys(STAGES) as Stage[]

const ROUNDS = 15
const CALLS = 3000
const DECISIONS = 200_000

interface Store {
  reads: number
  writes: number
}
const handlers = (store: Store) => ({
  read: async (key: string): Promise<string> => {
    store.reads++
    return key
  },
  write: async (_key: string): Promise<boolean> => {
    store.writes++
    return true
  },
})

/** A routed read and write of ours per stage; no server is there, the bootstrap state is held. */
async function ours(stage: Stage) {
  const { write, read } = STAGES[stage]
  const config: MigrationConfig = {
    ...defaultConfig('bench'),
    epoch: 1,
    phase: 'dual-write',
    write,
    read: { kind: 'fixed', variant: read },
    fenced: false,
    shadow: { sample: 1, concurrency: 8, timeout: 1000 },
  }
  const client = await connect({
    url: 'http://127.0.0.1:9',
    token: 'none',
    app: 'bench',
    version: '1',
    startTimeout: 0,
    bootstrap: { revision: 1, migrations: [config], flags: [] },
    log: { info: () => {}, warn: () => {}, error: () => {} },
  })
  const bare = handlers({ reads: 0, writes: 0 })
  const migration = client.migration('bench', {
    key: (key: string) => key,
    read: { old: bare.read, new: bare.read },
    write: { old: bare.write, new: bare.write },
  })
  await migration.read('warm')
  return { client, migration }
}

async function theirs() {
  const data = new TestData()
  for (const stage of NAMES) await data.update(data.flag(stage).valueForAll(stage))
  const client = init('bench', {
    updateProcessor: data.getFactory(),
    sendEvents: false,
    diagnosticOptOut: true,
    logger: basicLogger({ level: 'none' }),
  })
  await client.waitForInitialization({ timeout: 5 })
  const bare = handlers({ reads: 0, writes: 0 })
  const migration = createMigration<string, string, string, string>(client, {
    readOld: async (key) => LDMigrationSuccess(await bare.read(key ?? '')),
    readNew: async (key) => LDMigrationSuccess(await bare.read(key ?? '')),
    writeOld: async (key) => LDMigrationSuccess(String(await bare.write(key ?? ''))),
    writeNew: async (key) => LDMigrationSuccess(String(await bare.write(key ?? ''))),
    execution: new LDConcurrentExecution(),
    latencyTracking: true,
    errorTracking: true,
  })
  return { client, migration }
}

const loop = (call: (key: string) => unknown) => async (count: number) => {
  for (let i = 0; i < count; i++) await call(`user-${i}`)
}

/** Overhead over a bare call in ns, by stage; and the ratio of LaunchDarkly's to ours. */
async function operations(say: (line: string) => void) {
  const store = { reads: 0, writes: 0 }
  const bare = handlers(store)
  const peer = await theirs()
  const context = { kind: 'user', key: 'bench' }
  const table: Record<string, Record<string, number>> = {}
  const ratios = { read: Number.POSITIVE_INFINITY, write: Number.POSITIVE_INFINITY }
  for (const stage of NAMES) {
    const mine = await ours(stage)
    const contestants: Contestant[] = [
      { name: 'bareRead', run: loop((key) => bare.read(key)) },
      { name: 'bareWrite', run: loop((key) => bare.write(key)) },
      { name: 'ourRead', run: loop((key) => mine.migration.read(key)) },
      { name: 'ourWrite', run: loop((key) => mine.migration.write(key)) },
      { name: 'ldRead', run: loop((key) => peer.migration.read(stage, context, LDMigrationStage.Off, key)) },
      {
        name: 'ldWrite',
        run: loop((key) => peer.migration.write(stage, context, LDMigrationStage.Off, key)),
      },
    ]
    const times = await compareCalls(contestants, { rounds: ROUNDS, calls: CALLS })
    const of = (name: string) => times.get(name) ?? Number.NaN
    const read = (of('ldRead') - of('bareRead')) / Math.max(1, of('ourRead') - of('bareRead'))
    const write = (of('ldWrite') - of('bareWrite')) / Math.max(1, of('ourWrite') - of('bareWrite'))
    ratios.read = Math.min(ratios.read, read)
    ratios.write = Math.min(ratios.write, write)
    table[stage] = {
      ...Object.fromEntries([...times].map(([name, ns]) => [name, Math.round(ns)])),
      read,
      write,
    }
    say(
      `${stage.padEnd(10)} ours ${of('ourRead').toFixed(0)}/${of('ourWrite').toFixed(0)} ns, LaunchDarkly ${of('ldRead').toFixed(0)}/${of('ldWrite').toFixed(0)} ns`,
    )
    await mine.client.close()
  }
  peer.client.close()
  return { ratios, table }
}

/** Time of a decision against flagd-core: ours over theirs. */
async function decisions(say: (line: string) => void) {
  const core = new FlagdCore()
  core.setConfigurations(
    JSON.stringify({
      flags: {
        fixed: { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'on' },
        share: {
          state: 'ENABLED',
          variants: { on: true, off: false },
          defaultVariant: 'off',
          targeting: { fractional: [{ var: 'targetingKey' }, ['on', 25], ['off', 75]] },
        },
      },
    }),
  )
  const fixed: ReadRule = { kind: 'fixed', variant: 'old' }
  const split: ReadRule = {
    kind: 'split',
    inside: 'new-shadow',
    outside: 'old-shadow',
    share: 0.25,
    canary: [],
    salt: 'bench',
  }
  const keys = Array.from({ length: 1024 }, (_, i) => `user-${i}-${(i * 2654435761) % 4294967296}`)
  const contexts = keys.map((targetingKey) => ({ targetingKey }))
  let seen = 0
  const times = await compareCalls(
    [
      { name: 'ourFixed', run: each((i) => (readVariantFor(fixed, keys[i] ?? '', 'a') === 'old' ? 1 : 0)) },
      {
        name: 'flagdFixed',
        run: each((i) => (core.resolveBooleanEvaluation('fixed', false, contexts[i] ?? {}).value ? 1 : 0)),
      },
      {
        name: 'ourShare',
        run: each((i) => (readVariantFor(split, keys[i] ?? '', 'a') === 'new-shadow' ? 1 : 0)),
      },
      {
        name: 'flagdShare',
        run: each((i) => (core.resolveBooleanEvaluation('share', false, contexts[i] ?? {}).value ? 1 : 0)),
      },
    ],
    { rounds: ROUNDS, calls: DECISIONS },
  )
  function each(decide: (i: number) => number): (count: number) => void {
    return (count) => {
      // The sum is used, so that nothing of the decision can be left out.
      for (let i = 0; i < count; i++) seen += decide(i & 1023)
    }
  }
  const of = (name: string) => times.get(name) ?? Number.NaN
  for (const [name, ns] of times) say(`${name.padEnd(10)} ${ns.toFixed(1)} ns`)
  return {
    fixedVsFlagd: of('ourFixed') / of('flagdFixed'),
    stickyVsFlagd: of('ourShare') / of('flagdShare'),
    decisions: { ...Object.fromEntries(times), seen },
  }
}

export async function run(say: (line: string) => void): Promise<SuiteResult> {
  const routed = await operations(say)
  const { fixedVsFlagd, stickyVsFlagd, decisions: detail } = await decisions(say)
  return {
    suite: 'router',
    ratios: { ...routed.ratios, fixedVsFlagd, stickyVsFlagd },
    nanoseconds: routed.table,
    decisions: detail,
  }
}
