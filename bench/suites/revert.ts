import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { type InstancesProcess, startInstances } from '../gate/instances-process.ts'
import { requireRoomFor } from '../gate/machine.ts'
import type { ServerProcess } from '../gate/server-process.ts'
import { withService } from '../gate/with-service.ts'
import type { SuiteResult } from '../main.ts'
import { median, quantile } from '../measure.ts'
import { withPostgres } from '../support.ts'

/** Instances that are connected, and reverts by alert with so many of them. */
const ROUNDS = Number(process.env.BENCH_REVERT_ROUNDS ?? 200)
const FLEETS: readonly { readonly instances: number; readonly reverts: number }[] = [
  { instances: 10, reverts: ROUNDS },
  { instances: 100, reverts: ROUNDS },
  // Fewer: the whole is to take less than four minutes.
  { instances: 1000, reverts: Math.ceil(ROUNDS * 0.3) },
]
const PER_PROCESS = 500
const AT_ONCE = 50
/** Reverts by telemetry, with the instances and writes of an ordinary application. */
const TELEMETRY = { reverts: Math.ceil(ROUNDS / 20), instances: 100, perSecond: 10 }
/** So long all goes well before it begins to fail: longer than the shortest window of the default tripwires. */
const WELL_MS = 6_000
const MIGRATION = 'bench-revert'
interface Fleet {
  readonly server: ServerProcess
  readonly processes: readonly InstancesProcess[]
}

/** Milliseconds since the alert was sent, or since a change was asked for. */
interface Times {
  readonly commit: number
  readonly firstAck: number
  readonly lastAck: number
}

/**
 * From an alert to the last instance that has switched back, beside a plain change that is pushed to the same
 * instances in the same run; and from the first failing call of an application, by telemetry alone. The
 * migration stands at dual-write and goes back to expanded: what is measured is the same from every phase.
 */
export function run(say: (line: string) => void): Promise<SuiteResult> {
  requireRoomFor(Math.max(...FLEETS.map(({ instances }) => instances)))
  return withPostgres(({ url }) =>
    withService(url, MIGRATION, async ({ server, token }) => {
      await toDualWrite(server)
      const alerts: Record<string, unknown> = {}
      const pushes: Record<string, unknown> = {}
      let ratio = Number.NaN
      for (const { instances, reverts } of FLEETS) {
        const measured = await withFleet(server, token, instances, (fleet) => byAlert(fleet, reverts, say))
        alerts[instances] = summary(measured.alerts)
        pushes[instances] = summary(measured.pushes)
        const last = (times: readonly Times[]) => median(times.map(({ lastAck }) => lastAck))
        ratio = last(measured.alerts) / last(measured.pushes)
      }
      const telemetry = await withFleet(server, token, TELEMETRY.instances, (fleet) =>
        byTelemetry(fleet, say),
      )
      return {
        suite: 'revert',
        ratios: { webhookToLastAckVsPush: ratio },
        webhookMs: alerts,
        pushMs: pushes,
        telemetryMs: { ...telemetry, ...TELEMETRY },
        load: loadavg(),
      }
    }),
  )
}

async function withFleet<T>(
  server: ServerProcess,
  token: string,
  instances: number,
  work: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  const processes: InstancesProcess[] = []
  try {
    for (let first = 0; first < instances; first += PER_PROCESS) {
      const count = Math.min(PER_PROCESS, instances - first)
      const settings = { url: server.url, token, migration: MIGRATION, first, count, atOnce: AT_ONCE }
      processes.push(startInstances(settings))
    }
    await Promise.all(processes.map(({ joined }) => joined))
    return await work({ server, processes })
  } finally {
    await Promise.allSettled(processes.map((each) => each.end()))
    await forgetAll(server)
  }
}

/** Who has gone without a goodbye would be waited for. */
async function forgetAll(server: ServerProcess): Promise<void> {
  const { instances } = await server.call<{ instances: { id: string }[] }>('GET', '/v1/instances?limit=1000')
  for (const { id } of instances) {
    await server.call('DELETE', `/v1/instances/${id}`, { reason: 'the measurement is over' })
  }
}

interface View {
  readonly state: { readonly phase: string; readonly epoch: number; readonly latch?: { incident: string } }
  readonly gate: { readonly open: boolean }
}

const view = (server: ServerProcess): Promise<View> => server.call('GET', `/v1/migrations/${MIGRATION}`)

/** Re-arms where it has to, and goes on as soon as every instance has followed. */
async function toDualWrite(server: ServerProcess): Promise<number> {
  for (;;) {
    const { state, gate } = await view(server)
    if (state.latch !== undefined) {
      await server.call('POST', `/v1/migrations/${MIGRATION}/rearm`, { reason: 'the next round' })
    } else if (state.phase === 'dual-write') {
      return state.epoch
    } else if (gate.open) {
      await server.call('POST', `/v1/migrations/${MIGRATION}/advance`, {}).catch(() => undefined)
    } else {
      await sleep(5)
    }
  }
}

const now = (): number => performance.timeOrigin + performance.now()

/** When the first and the last instance of all have followed to an epoch; to be asked for before it is there. */
async function followed(processes: readonly InstancesProcess[], epoch: number) {
  const first = Promise.all(processes.map((each) => each.first(epoch)))
  const last = Promise.all(processes.map((each) => each.epoch(epoch)))
  return { first: Math.min(...(await first)), last: Math.max(...(await last)) }
}

const committedAt = async (server: ServerProcess): Promise<number> => {
  const { incidents } = await server.call<{ incidents: { committedAt: number }[] }>(
    'GET',
    '/v1/incidents?limit=1',
  )
  return incidents[0]?.committedAt ?? Number.NaN
}

/** Alerts, each followed by a plain change, in turns: a slow moment of the machine hits both. */
async function byAlert({ server, processes }: Fleet, reverts: number, say: (line: string) => void) {
  const alerts: Times[] = []
  const pushes: Times[] = []
  for (let round = -3; round < reverts; round++) {
    const before = await toDualWrite(server)
    // An operator sets the read flag to what it is: an epoch, a push, and acks; nothing else.
    const pushed = followed(processes, before + 1)
    const asked = now()
    await server.call('POST', `/v1/migrations/${MIGRATION}/flags`, { read: 'old' })
    const answered = now()
    const change = await pushed
    const reverted = followed(processes, before + 2)
    const sent = now()
    await server.call('POST', '/v1/alerts', {
      migration: MIGRATION,
      errorRate: 0.07,
      samples: 1000,
      window: '1m',
      id: `bench-${processes.length}-${before}`,
    })
    const back = await reverted
    const commit = await committedAt(server)
    // The first rounds warm up.
    if (round < 0) continue
    pushes.push({ commit: answered - asked, firstAck: change.first - asked, lastAck: change.last - asked })
    alerts.push({ commit: commit - sent, firstAck: back.first - sent, lastAck: back.last - sent })
  }
  const last = (times: readonly Times[]) => times.map(({ lastAck }) => lastAck)
  say(
    `${reverts} reverts: alert to last ack p50 ${median(last(alerts)).toFixed(1)} ms, p99 ${quantile(last(alerts), 0.99).toFixed(1)} ms; a plain push p50 ${median(last(pushes)).toFixed(1)} ms`,
  )
  return { alerts, pushes }
}

/** Writes begin to fail on new, and the default tripwires see it in what the instances tell. */
async function byTelemetry({ server, processes }: Fleet, say: (line: string) => void) {
  const times: number[] = []
  const toCommit: number[] = []
  const traffic = (fails: boolean) =>
    Promise.all(processes.map((each) => each.traffic(TELEMETRY.perSecond, fails)))
  for (let round = 0; round < TELEMETRY.reverts; round++) {
    await traffic(false)
    const before = await toDualWrite(server)
    await sleep(WELL_MS)
    const reverted = followed(processes, before + 1)
    const failed = await traffic(true)
    const began = Math.min(...failed.map((at) => at ?? Number.POSITIVE_INFINITY))
    const { last } = await reverted
    times.push(last - began)
    toCommit.push((await committedAt(server)) - began)
    say(`telemetry: from the first failing call to the last ack ${(last - began).toFixed(0)} ms`)
  }
  return { lastAck: ends(times), commit: ends(toCommit) }
}

const ends = (values: readonly number[]) => ({
  p50: median(values),
  p99: quantile(values, 0.99),
  max: Math.max(...values),
})
const summary = (times: readonly Times[]) => ({
  reverts: times.length,
  commit: ends(times.map(({ commit }) => commit)),
  firstAck: ends(times.map(({ firstAck }) => firstAck)),
  lastAck: ends(times.map(({ lastAck }) => lastAck)),
})
