import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { type InstancesProcess, startInstances } from '../gate/instances-process.ts'
import { cpuBetween, cpuSeconds, cpuSecondsOfTree, requireRoomFor, residentMb } from '../gate/machine.ts'
import type { ServerProcess } from '../gate/server-process.ts'
import { ratesBetween, readStatements } from '../gate/statements.ts'
import { withService } from '../gate/with-service.ts'
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
/**
 * Ten thousand instances on one server: how long from the last ack to the open gate, what their heartbeats
 * cost, and how they come back when the server is started again.
 */
export function run(say: (line: string) => void): Promise<SuiteResult> {
  requireRoomFor(INSTANCES)
  return withPostgres(
    ({ url, pid }) =>
      withService(url, MIGRATION, async ({ server, admin, token }) => {
        await admin.query('create extension pg_stat_statements')
        await toRamp(server)
        const processes: InstancesProcess[] = []
        try {
          const joining = performance.now()
          const count = INSTANCES / PROCESSES
          for (let i = 0; i < PROCESSES; i++) {
            const { url: at } = server
            const settings = {
              url: at,
              token,
              migration: MIGRATION,
              first: i * count,
              count,
              atOnce: AT_ONCE,
            }
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
        }
      }),
    { max_connections: '100', shared_preload_libraries: 'pg_stat_statements' },
  )
}

/** Takes the migration to where each change of the share makes an epoch, before anybody is there to wait for. */
async function toRamp(server: ServerProcess): Promise<void> {
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
