import type { Signal } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Receiver } from './receiver.ts'
import { digestOf, readJson, signalFrom, text } from './signal-from.ts'

const alertSchema = z.looseObject({
  status: z.enum(['firing', 'resolved']),
  labels: z.record(z.string(), text).default({}),
  annotations: z.record(z.string(), text).catch({}),
  startsAt: z.iso.datetime({ offset: true }),
  fingerprint: z.string().min(1).optional(),
  generatorURL: z.string().optional().catch(undefined),
})

/** What Alertmanager sends (version 4). Only what is used is looked at; senders add fields as they please. */
export const alertmanagerSchema = z
  .looseObject({ alerts: z.array(alertSchema).max(10_000) })
  .meta({ id: 'AlertmanagerPayload' })

type Payload = z.output<typeof alertmanagerSchema>
type Alert = Payload['alerts'][number]

/** Every alert of the payload as one signal. A list cut short proves nothing about what is not in it. */
export const signalsOfAlertmanager = (
  payload: Payload,
  receivedAt: number,
  source = 'alertmanager',
): readonly Signal[] => payload.alerts.map((alert) => signalOf(alert, receivedAt, source))

function signalOf(alert: Alert, receivedAt: number, source: string): Signal {
  const { labels, annotations, status, startsAt } = alert
  return signalFrom({
    source,
    key: `${alert.fingerprint ?? fingerprintOf(labels)}:${startsAt}:${status}`,
    status,
    name: labels.alertname,
    labels,
    startedAt: startsAt,
    receivedAt,
    summary: annotations.summary ?? annotations.description,
    link: alert.generatorURL,
  })
}

/** Stands in where a sender leaves the fingerprint out: the labels are what tells alerts apart. */
const fingerprintOf = (labels: Readonly<Record<string, string>>): string =>
  digestOf(JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))).slice(0, 16)

export const alertmanager: Receiver = {
  proof: 'bearer',
  read: ({ raw, receivedAt }) => ({
    signals: signalsOfAlertmanager(readJson(raw, alertmanagerSchema), receivedAt),
  }),
}
