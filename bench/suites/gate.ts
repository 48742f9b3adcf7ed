import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type InstancesProcess, startInstances } from '../gate/instances-process.ts'
import { cpuBetween, cpuSeconds, cpuSecondsOfTree, requireRoomFor, residentMb } from '../gate/machine.ts'
import { createServerProcess, type ServerProcess } from '../gate/server-process.ts'
import { ratesBetween, readStatements } from '../gate/statements.ts'
import type { SuiteResult } from '../main.ts'
import { median, quantile } from '../measure.ts'
import { withPostgres } from '../support.ts'

const INSTANCES = Number(process.env.BENCH_GATE_INSTANCES ?? 10_000)
const PROCESSES = 2
/** Connections that each process of instances opens at the same time, at the start. */
const AT_ONCE = 50
const EPOCHS = 7
const HEARTBEATS_MS = 45_000
const MIGRATION = 'bench-gate'
const YAML = `id: ${MIGRATION}
title: Gate of ten thousand instances
apps: [bench]
copy:
  from: items
  to: items_new
  key: { id: id }
  columns: { x: x }
`

/**
 * Ten thousand instances on one server: how long from the last ack to the open gate, what their heartbeats
 * cost, and how they come back when the server is started again.
 */
export function run(say: (line: string) => void): Promise<SuiteResult> {
  requireRoomFor(INSTANCES)
  return withPostgres(
    async ({ url, pid }) => {
      const folder = await mkdtemp(join(tmpdir(), 'switchback-gate-'))
      const admin = new pg.Client({ connectionString: url })
      await admin.connect()
      const processes: InstancesProcess[] = []
      let server: ServerProcess | undefined
      try {
        await admin.query('create database store')
        await admin.query('create database target')
        await admin.query('create extension pg_stat_statements')
        server = await createServerProcess({
          DATABASE_URL: databaseOf(url, 'store'),
          TARGET_MAIN_URL: databaseOf(url, 'target'),
          SWITCHBACK_DATA: folder,
          SWITCHBACK_ADMIN_TOKEN: randomBytes(24).toString('hex'),
          LOG_LEVEL: 'warn',
        })
        await server.start()
        await toRamp(server, databaseOf(url, 'target'))
        const { token } = await server.call<{ token: string }>('POST', '/v1/tokens', {
          name: 'instances',
          role: 'sdk',
        })
        const joining = performance.now()
        const count = INSTANCES / PROCESSES
        for (let i = 0; i < PROCESSES; i++) {
          const { url: at } = server
          const settings = { url: at, token, migration: MIGRATION, first: i * count, count, atOnce: AT_ONCE }
          processes.push(startInstances(settings))
        }
        await Promise.all(processes.map(({ joined }) => joined))
        const joinSeconds = (performance.now() - joining) / 1000
        say(`${INSTANCES} instances joined in ${joinSeconds.toFixed(1)} s`)

        const gate = await measureGate(server, processes, say)
        const beats = await measureHeartbeats(server, admin, pid, say)
        const storm = await measureStorm(server, processes, say)
        return {
          suite: 'gate',
          ratios: { cpuOfOneCore: beats.cpuOfOneCore },
          gateMs: gate,
          statementsPerSecond: beats.statementsPerSecond,
          heartbeats: beats.detail,
          storm,
          instances: INSTANCES,
          joinSeconds,
          residentMb: {
            server: residentMb(server.pid),
            instances: processes.map((each) => residentMb(each.pid)),
          },
          load: loadavg(),
        }
      } finally {
        await Promise.allSettled(processes.map((each) => each.end()))
        await server?.stop()
        await admin.end()
        await rm(folder, { recursive: true, force: true })
      }
    },
    { max_connections: '100', shared_preload_libraries: 'pg_stat_statements' },
  )
}

function databaseOf(url: string, name: string): string {
  const database = new URL(url)
  database.pathname = `/${name}`
  return database.href
}

/** Takes the migration to where each change of the share makes an epoch, before anybody is there to wait for. */
async function toRamp(server: ServerProcess, target: string): Promise<void> {
  const client = new pg.Client({ connectionString: target })
  await client.connect()
  await client.query('create table items (id int primary key, x int)')
  await client.end()
  const sql = {
    expand: 'create table items_new (id int primary key, x int);',
    rollback: 'drop table items_new;',
    contract: 'drop table items;',
  }
  await server.call('POST', '/v1/migrations', { yaml: YAML, sql })
  for (;;) {
    const { state, gate } = await server.call<{
      state: { phase: string; work?: { error?: string } }
      gate: { open: boolean }
    }>('GET', `/v1/migrations/${MIGRATION}`)
    if (state.phase === 'ramp') return
    if (state.work?.error !== undefined) throw new Error(state.work.error)
    if (gate.open) await server.call('POST', `/v1/migrations/${MIGRATION}/advance`, {})
    else await sleep(50)
  }
}

const now = (): number => performance.timeOrigin + performance.now()

/** From the moment at which the last instance sends its ack until somebody who asks is told of an open gate. */
async function measureGate(
  server: ServerProcess,
  processes: readonly InstancesProcess[],
  say: (line: string) => void,
) {
  const fromAck: number[] = []
  const fromCommit: number[] = []
  const askMs: number[] = []
  let epoch = (await server.call<{ state: { epoch: number } }>('GET', `/v1/migrations/${MIGRATION}`)).state
    .epoch
  for (let round = 0; round < EPOCHS; round++) {
    epoch += 1
    const acked = Promise.all(processes.map((each) => each.epoch(epoch)))
    await server.call('POST', `/v1/migrations/${MIGRATION}/rollout`, { share: round % 2 === 0 ? 0.5 : 0.6 })
    const committed = now()
    const last = Math.max(...(await acked))
    let opened: number
    for (;;) {
      const asked = performance.now()
      const gate = await server.call<{ open: boolean }>('GET', `/v1/migrations/${MIGRATION}/gate`)
      opened = now()
      if (gate.open) {
        askMs.push(performance.now() - asked)
        break
      }
    }
    fromAck.push(opened - last)
    fromCommit.push(opened - committed)
    say(
      `epoch ${epoch}: acked by all after ${(last - committed).toFixed(0)} ms, gate open ${(opened - last).toFixed(0)} ms later`,
    )
  }
  const advancing = performance.now()
  await server.call('POST', `/v1/migrations/${MIGRATION}/advance`, {})
  const advanceMs = performance.now() - advancing
  return {
    p50: median(fromAck),
    max: Math.max(...fromAck),
    fromCommit: { p50: median(fromCommit), max: Math.max(...fromCommit) },
    asking: { p50: median(askMs) },
    advance: advanceMs,
    epochs: EPOCHS,
  }
}

async function measureHeartbeats(
  server: ServerProcess,
  admin: pg.Client,
  postmaster: number,
  say: (line: string) => void,
) {
  // The epoch of the advance just made is another matter.
  await sleep(10_000)
  const look = async () => ({
    server: cpuSeconds(server.pid),
    store: cpuSecondsOfTree(postmaster),
    statements: await readStatements(admin, 'store'),
    at: performance.now(),
  })
  const before = await look()
  await sleep(HEARTBEATS_MS)
  const after = await look()
  const seconds = (after.at - before.at) / 1000
  const cpuOfOneCore = (after.server - before.server) / seconds
  const { renewals, all, most } = ratesBetween(before.statements, after.statements, seconds)
  say(
    `heartbeats: ${(100 * cpuOfOneCore).toFixed(1)} % of a core, ${renewals.toFixed(2)} renewals/s, ${all.toFixed(1)} statements/s`,
  )
  return {
    cpuOfOneCore,
    statementsPerSecond: { renewals, all },
    detail: { seconds, storeCpuOfOneCore: cpuBetween(before.store, after.store) / seconds, statements: most },
  }
}

/** Stops the server and starts it again; everybody comes back by themselves. */
async function measureStorm(
  server: ServerProcess,
  processes: readonly InstancesProcess[],
  say: (line: string) => void,
) {
  const back = Promise.all(processes.map((each) => each.back()))
  const stopping = now()
  await server.stop()
  const stopped = now()
  await server.start()
  const ready = now()
  const probe = probeReadiness(server.url)
  const times = (await back).flat().sort((a, b) => a - b)
  const readyz = await probe.end()
  const last = times.at(-1) ?? Number.NaN
  const seconds = new Map<number, number>()
  for (const time of times) {
    const second = Math.floor((time - ready) / 1000)
    seconds.set(second, (seconds.get(second) ?? 0) + 1)
  }
  const storm = {
    stopMs: stopped - stopping,
    startMs: ready - stopped,
    /** From readiness of the new server until the last instance is registered. */
    allBackMs: last - ready,
    p50BackMs: median(times) - ready,
    registrationsPerSecond: times.length / ((last - Math.min(ready, times[0] ?? ready)) / 1000),
    peakPerSecond: Math.max(...seconds.values()),
    readyzMs: readyz,
  }
  say(
    `storm: all ${times.length} back ${(storm.allBackMs / 1000).toFixed(1)} s after the server was ready, /readyz p99 ${readyz.p99.toFixed(0)} ms`,
  )
  return storm
}

/** Asks for readiness again and again, as a load balancer does. */
function probeReadiness(url: string) {
  const times: number[] = []
  let failed = 0
  let going = true
  const probing = (async () => {
    while (going) {
      const from = performance.now()
      const ok = await fetch(`${url}/readyz`).then(
        async (response) => {
          await response.text()
          return response.ok
        },
        () => false,
      )
      if (!ok) failed++
      times.push(performance.now() - from)
      await sleep(50)
    }
  })()
  return {
    end: async () => {
      going = false
      await probing
      return {
        p50: median(times),
        p99: quantile(times, 0.99),
        max: Math.max(...times),
        asked: times.length,
        failed,
      }
    },
  }
}
