import { setTimeout as sleep } from 'node:timers/promises'
import pc from 'picocolors'
import type { Incident, MigrationView } from './api.ts'
import { ID } from './journey.ts'
import type { Screen } from './screen.ts'
import type { Stage } from './setup.ts'

export interface RevertTimes {
  readonly alertToCommitMs: number
  readonly alertToLastAckMs: number
}

const SAMPLES = 200
const LIMIT = 0.02

const newReads = ({ apps }: Stage) =>
  apps.reduce(
    (sum, app) => ({ reads: sum.reads + app.paths.new.reads, errors: sum.errors + app.paths.new.errors }),
    { reads: 0, errors: 0 },
  )

/**
 * Lets the new read path fail, measures the error rate as a monitoring system would, and hands it to the
 * server as Alertmanager does. Returns when every instance has acknowledged the revert.
 */
export async function failAndRevert(stage: Stage, screen: Screen): Promise<RevertTimes> {
  const startsAt = new Date().toISOString()
  const before = newReads(stage)
  for (const app of stage.apps) app.tell({ type: 'fail-new-reads', share: 0.3 })
  screen.line(pc.yellow('the new read path begins to fail'))
  let rate = 0
  for (const deadline = Date.now() + 30_000; ; ) {
    const now = newReads(stage)
    const reads = now.reads - before.reads
    rate = reads === 0 ? 0 : (now.errors - before.errors) / reads
    if (reads >= SAMPLES && rate > LIMIT) break
    if (Date.now() > deadline) throw new Error(`the error rate never rose: ${rate} of ${reads} reads`)
    await sleep(50)
  }
  const view = await stage.api.migration(ID)
  const payload = alertmanagerPayload(view, rate, startsAt)
  const response = await fetch(`${stage.server.url}/v1/alerts/alertmanager`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stage.alertToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(payload),
  })
  screen.line(
    `alert: NewPathErrorRate, ${(rate * 100).toFixed(1)}% of new reads fail; answered ${response.status}`,
  )
  if (!response.ok) throw new Error(`the alert was answered ${response.status}: ${await response.text()}`)
  const incident = await awaitIncident(stage)
  for (const app of stage.apps) app.tell({ type: 'fail-new-reads', share: 0 })
  screen.line(
    pc.green(
      `reverted: commit after ${incident.alertToCommitMs} ms, last of 3 instances after ${incident.alertToLastAckMs} ms`,
    ),
  )
  screen.plain(`          ${pc.bold(incident.id)} ${incident.title}`)
  for (const { at, kind, message } of incident.timeline) {
    screen.plain(
      `          ${pc.dim(new Date(at).toISOString().slice(11, 23))}  ${kind.padEnd(16)} ${message}`,
    )
  }
  const { alertToCommitMs, alertToLastAckMs } = incident
  if (alertToCommitMs === undefined || alertToLastAckMs === undefined)
    throw new Error('the incident has no times')
  return { alertToCommitMs, alertToLastAckMs }
}

async function awaitIncident(stage: Stage): Promise<Incident> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const { incidents } = await stage.api.call<{ incidents: Incident[] }>(
      'GET',
      `/v1/incidents?migration=${ID}`,
    )
    const newest = incidents[0]
    if (newest?.lastAckAt !== undefined)
      return await stage.api.call<Incident>('GET', `/v1/incidents/${newest.id}`)
    if (Date.now() > deadline) throw new Error('the alert caused no revert that every instance acknowledged')
    await sleep(20)
  }
}

/** An Alertmanager v4 notification, as Alertmanager 0.25 sends it. */
function alertmanagerPayload({ state }: MigrationView, rate: number, startsAt: string) {
  const labels = {
    alertname: 'NewPathErrorRate',
    migration: ID,
    epoch: String(state.epoch),
    severity: 'critical',
  }
  return {
    receiver: 'switchback',
    status: 'firing',
    alerts: [
      {
        status: 'firing',
        labels,
        annotations: { summary: `error rate ${(rate * 100).toFixed(1)}% > 2%` },
        startsAt,
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: 'http://prometheus.bimride.example/graph',
        fingerprint: '8798e5ab6f3a142a',
      },
    ],
    groupLabels: { alertname: labels.alertname },
    commonLabels: labels,
    commonAnnotations: {},
    externalURL: 'http://alertmanager.bimride.example',
    version: '4',
    groupKey: '{}:{alertname="NewPathErrorRate"}',
    truncatedAlerts: 0,
  }
}
