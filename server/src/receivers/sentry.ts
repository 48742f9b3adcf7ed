import { z } from 'zod'
import type { Delivery, Reading, Receiver } from './receiver.ts'
import { digestOf, labelsInText, readJson, signalFrom, text } from './signal-from.ts'
import { failed, headerOf, hmacHex, isRecent, matchesAny, passed } from './signatures.ts'

const optional = text.optional().catch(undefined)

const metricSchema = z.looseObject({
  action: z.string(),
  data: z.looseObject({
    metric_alert: z.looseObject({
      date_started: optional,
      date_detected: optional,
      alert_rule: z.looseObject({ name: optional }).optional().catch(undefined),
      projects: z.array(text).catch([]),
    }),
    description_title: optional,
    description_text: optional,
    web_url: optional,
  }),
})

const issueSchema = z.looseObject({
  action: z.string(),
  data: z.looseObject({
    event: z.looseObject({
      title: optional,
      datetime: optional,
      web_url: optional,
      tags: z.array(z.tuple([text, text])).catch([]),
    }),
    triggered_rule: optional,
  }),
})

/** Sentry's internal integrations: metric alerts, and issue alerts, which never resolve. */
export const sentry: Receiver = {
  proof: 'signature',
  verify: ({ headers, raw, receivedAt }, secrets) => {
    const signature = headerOf(headers, 'sentry-hook-signature')
    if (signature === undefined) return failed('Sentry-Hook-Signature is missing')
    // Not covered by the signature, so it keeps honest retries honest, and no more; see the key below.
    const timestamp = headerOf(headers, 'sentry-hook-timestamp')
    if (timestamp !== undefined && !isRecent(timestamp, receivedAt)) return failed('the timestamp is old')
    const right = matchesAny([signature], secrets, (secret) => hmacHex(secret, raw))
    return right ? passed : failed('the signature is not right')
  },
  read: (delivery) => {
    const resource = headerOf(delivery.headers, 'sentry-hook-resource')
    if (resource === 'metric_alert') return readMetricAlert(delivery)
    if (resource === 'event_alert') return readIssueAlert(delivery)
    return { signals: [], ignored: `the resource "${(resource ?? '').slice(0, 50)}" is no alert` }
  },
}

// Request-ID is not signed, so a replay could carry a new one: what was signed tells deliveries apart.
const keyOf = ({ raw }: Delivery): string => `body:${digestOf(raw)}`

function readMetricAlert(delivery: Delivery): Reading {
  const { action, data } = readJson(delivery.raw, metricSchema)
  const { metric_alert: alert, description_title: title, description_text: description } = data
  if (action !== 'critical' && action !== 'resolved') {
    return { signals: [], ignored: `a metric alert that is ${action.slice(0, 50)} asks for nothing` }
  }
  const name = alert.alert_rule?.name ?? title
  return {
    signals: [
      signalFrom({
        source: 'sentry',
        key: keyOf(delivery),
        status: action === 'resolved' ? 'resolved' : 'firing',
        name,
        labels: {
          ...labelsInText(name, title, description),
          ...(name === undefined ? {} : { alertname: name }),
          ...(alert.projects[0] === undefined ? {} : { project: alert.projects[0] }),
        },
        startedAt: alert.date_started ?? alert.date_detected,
        receivedAt: delivery.receivedAt,
        summary: description ?? title,
        link: data.web_url,
      }),
    ],
  }
}

function readIssueAlert(delivery: Delivery): Reading {
  const { data } = readJson(delivery.raw, issueSchema)
  const { event, triggered_rule: rule } = data
  return {
    signals: [
      signalFrom({
        source: 'sentry',
        key: keyOf(delivery),
        status: 'firing',
        name: rule ?? event.title,
        labels: {
          ...labelsInText(rule),
          ...Object.fromEntries(event.tags),
          ...(rule === undefined ? {} : { alertname: rule }),
        },
        startedAt: event.datetime,
        receivedAt: delivery.receivedAt,
        summary: event.title,
        link: event.web_url,
      }),
    ],
  }
}
