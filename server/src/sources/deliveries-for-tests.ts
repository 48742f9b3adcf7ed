import { createHmac } from 'node:crypto'
import type { SourceKind } from '../receivers/receivers.ts'
import { snsSender } from './sns-for-tests.ts'

export const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:alarms'
export const SNS_HOST = 'https://sns.eu-central-1.amazonaws.com'
export const sns = snsSender()

/** One delivery as its system sends it: a body and the headers that prove it. */
export interface TestDelivery {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

export interface DeliveryOptions {
  readonly secret: string
  readonly status?: 'firing' | 'resolved'
  readonly at?: number
  /** What tells this delivery from others. */
  readonly id?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Unix milliseconds that the signature's own timestamp says. */
  readonly signedAt?: number
  /** Changes the payload before it is signed. */
  readonly change?: (payload: Record<string, unknown>) => unknown
}

const json = { 'content-type': 'application/json' }
const hmac = (secret: string | Buffer, text: string, encoding: 'hex' | 'base64') =>
  createHmac('sha256', secret).update(text).digest(encoding)

/** Makes deliveries of each kind, as facts of their senders' documentation have them. */
export function deliver(kind: SourceKind, options: DeliveryOptions): TestDelivery {
  const { secret, status = 'firing', at = Date.now(), id = 'id-1', signedAt = at } = options
  const labels = { migration: 'profiles', ...options.labels }
  const firing = status === 'firing'
  const iso = new Date(at).toISOString()
  const seconds = String(Math.floor(signedAt / 1000))
  const change = options.change ?? ((payload) => payload)
  const made = (payload: Record<string, unknown>): string => JSON.stringify(change(payload))
  const bearer = { ...json, authorization: `Bearer ${secret}` }
  const described = Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')

  const alerts = {
    receiver: 'switchback',
    status,
    version: '4',
    externalURL: 'http://am.local',
    truncatedAlerts: 0,
    alerts: [
      {
        status,
        labels: { alertname: 'NewPathErrorRate', ...labels },
        annotations: { summary: 'error rate 7.2% > 2%' },
        startsAt: iso,
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: 'http://prom.local/graph',
        fingerprint: id,
      },
    ],
  }
  switch (kind) {
    case 'alertmanager':
      return { body: made(alerts), headers: bearer }
    case 'grafana': {
      const body = made({ ...alerts, title: '[FIRING:1]', state: 'alerting', orgId: 1 })
      return {
        body,
        headers: {
          ...json,
          'x-grafana-alerting-timestamp': seconds,
          'x-grafana-alerting-signature': hmac(secret, `${seconds}:${body}`, 'hex'),
        },
      }
    }
    case 'datadog': {
      const tags = Object.entries(labels).map(([name, value]) => `${name}:${value}`)
      const transition = firing ? 'Triggered' : 'Recovered'
      const payload = {
        id,
        cycle: '77',
        transition,
        title: 'p99 of new',
        tags: [...tags, 'prod'].join(','),
        date: String(at),
      }
      return { body: made(payload), headers: bearer }
    }
    case 'sentry': {
      const body = made({
        action: firing ? 'critical' : 'resolved',
        installation: { uuid: 'u' },
        data: {
          metric_alert: {
            id,
            date_started: iso,
            alert_rule: { name: `errors ${described}` },
            projects: ['rides'],
          },
          description_title: 'Critical: errors',
          web_url: 'https://sentry.example/alerts/1',
        },
      })
      return {
        body,
        headers: {
          ...json,
          'sentry-hook-resource': 'metric_alert',
          'sentry-hook-timestamp': seconds,
          'sentry-hook-signature': hmac(secret, body, 'hex'),
          'request-id': id,
        },
      }
    }
    case 'pagerduty': {
      const body = made({
        event: {
          id,
          event_type: firing ? 'incident.triggered' : 'incident.resolved',
          resource_type: 'incident',
          occurred_at: iso,
          data: {
            id: 'PGR0VU2',
            type: 'incident',
            html_url: 'https://acme.pagerduty.example/incidents/PGR0VU2',
            title: `errors on new ${described}`,
            service: { id: 'PF9KMXH', summary: 'rides' },
          },
        },
      })
      const headers = {
        ...json,
        'x-pagerduty-signature': `v1=${'0'.repeat(64)},v1=${hmac(secret, body, 'hex')}`,
      }
      return { body, headers }
    }
    case 'cloudwatch': {
      const message = made({
        AlarmName: 'new-path-errors',
        AlarmDescription: `errors of the new path; ${described}`,
        NewStateValue: firing ? 'ALARM' : 'OK',
        NewStateReason: 'Threshold Crossed',
        StateChangeTime: iso.replace('Z', '+0000'),
        Region: 'EU (Frankfurt)',
        Trigger: { MetricName: 'Errors', Namespace: 'Rides', Dimensions: [{ name: 'app', value: 'rides' }] },
      })
      const signed = sns.signed({
        Type: 'Notification',
        MessageId: id,
        TopicArn: TOPIC,
        Subject: 'ALARM: "new-path-errors"',
        Message: message,
        Timestamp: new Date(signedAt).toISOString(),
        SignatureVersion: '2',
        SigningCertURL: `${SNS_HOST}/SimpleNotificationService-0123456789abcdef.pem`,
      })
      return { body: JSON.stringify(signed), headers: { 'content-type': 'text/plain; charset=UTF-8' } }
    }
    case 'cloudevents': {
      const event = { specversion: '1.0', id, source: '/rides/alerts', type: 'example.alert', time: iso }
      return {
        body: made({ ...event, data: { status, labels } }),
        headers: { ...bearer, 'content-type': 'application/cloudevents+json' },
      }
    }
    case 'standard-webhooks': {
      const body = made({ type: 'alert.fired', timestamp: iso, data: { status, labels } })
      const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
      const signature = `v1,${hmac(key, `${id}.${seconds}.${body}`, 'base64')}`
      return {
        body,
        headers: { ...json, 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signature },
      }
    }
    case 'plain': {
      const payload = {
        migration: labels.migration,
        errorRate: 0.072,
        samples: 5000,
        window: '1m',
        startedAt: iso,
        id,
      }
      return { body: made(payload), headers: bearer }
    }
  }
}
