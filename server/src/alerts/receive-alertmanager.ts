import { createHash } from 'node:crypto'
import type { Signal } from '@switchback/migrations-registry'
import { z } from 'zod'

const text = z.union([z.string(), z.number(), z.boolean()]).transform(String)

const alertSchema = z.looseObject({
  status: z.enum(['firing', 'resolved']),
  labels: z.record(z.string(), text).default({}),
  annotations: z.record(z.string(), text).catch({}),
  startsAt: z.iso.datetime({ offset: true }),
  fingerprint: z.string().min(1).optional(),
})

/** What Alertmanager sends (version 4). Only what is used is looked at; senders add fields as they please. */
export const alertmanagerSchema = z
  .looseObject({ alerts: z.array(alertSchema).max(10_000) })
  .meta({ id: 'AlertmanagerPayload' })

type Payload = z.output<typeof alertmanagerSchema>
type Alert = Payload['alerts'][number]

/** Every alert of the payload as one signal. A list cut short proves nothing about what is not in it. */
export const signalsOfAlertmanager = (payload: Payload, receivedAt: number): readonly Signal[] =>
  payload.alerts.map((alert) => signalOf(alert, receivedAt))

function signalOf(alert: Alert, receivedAt: number): Signal {
  const { labels, annotations, status, startsAt } = alert
  const { migration, path, operation } = labels
  const epoch = /^\d+$/.test(labels.epoch ?? '') ? Number(labels.epoch) : undefined
  const summary = annotations.summary ?? annotations.description
  return {
    source: 'alertmanager',
    dedupKey: `${alert.fingerprint ?? fingerprintOf(labels)}:${startsAt}:${status}`,
    status,
    name: labels.alertname ?? 'alert',
    labels,
    startedAt: Date.parse(startsAt),
    receivedAt,
    ...(summary === undefined ? {} : { summary: summary.slice(0, 1000) }),
    ...(migration === undefined ? {} : { migration }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(path === 'old' || path === 'new' ? { path } : {}),
    ...(operation === 'read' || operation === 'write' ? { operation } : {}),
  }
}

/** Stands in where a sender leaves the fingerprint out: the labels are what tells alerts apart. */
const fingerprintOf = (labels: Readonly<Record<string, string>>): string =>
  createHash('sha256')
    .update(JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))))
    .digest('hex')
    .slice(0, 16)
