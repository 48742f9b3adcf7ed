import type { Schema } from '../api/client.ts'

export type SourceKind = Schema<'AlertSource'>['kind']

interface SetUp {
  readonly name: string
  /** Where the secret comes from: made here, or shown by the system itself. */
  readonly secret: 'made' | 'theirs' | 'none'
  /** Where it is set up over there. */
  readonly where: string
  /** What to paste, for an address and a secret. */
  readonly paste: (address: string, secret: string) => string
}

const bearer = (address: string, secret: string): string => `POST ${address}\nAuthorization: Bearer ${secret}`

/** How each alerting system is told to deliver; the same as in docs/alerts.md. */
export const SET_UP: Readonly<Record<SourceKind, SetUp>> = {
  alertmanager: {
    name: 'Alertmanager',
    secret: 'made',
    where: 'Among the receivers of alertmanager.yml.',
    paste: (address, secret) => `receivers:
  - name: switchback
    webhook_configs:
      - url: ${address}
        send_resolved: true
        http_config:
          authorization:
            credentials: ${secret}`,
  },
  grafana: {
    name: 'Grafana',
    secret: 'made',
    where: 'A contact point of the kind Webhook, its optional settings: HMAC signature.',
    paste: (address, secret) => `URL               ${address}
HMAC secret       ${secret}
Header            X-Grafana-Alerting-Signature
Timestamp header  X-Grafana-Alerting-Timestamp`,
  },
  datadog: {
    name: 'Datadog',
    secret: 'made',
    where:
      'The integration Webhooks. Tag the monitor with migration:<id>, and name @webhook-switchback in it.',
    paste: (address, secret) => `URL             ${address}
Custom headers  {"Authorization": "Bearer ${secret}"}
Payload
{ "id": "$ID", "cycle": "$ALERT_CYCLE_KEY", "transition": "$ALERT_TRANSITION",
  "title": "$EVENT_TITLE", "tags": "$TAGS", "date": "$DATE", "link": "$LINK" }`,
  },
  sentry: {
    name: 'Sentry',
    secret: 'theirs',
    where: 'An internal integration with Alert Rule Action. Its client secret is the secret here.',
    paste: (address) => `Webhook URL  ${address}
Rule name    … migration=<id>`,
  },
  pagerduty: {
    name: 'PagerDuty',
    secret: 'theirs',
    where: 'A webhook subscription of version 3. The secret that it shows is the secret here.',
    paste: (address) => `Webhook URL     ${address}
Incident title  … migration=<id>`,
  },
  cloudwatch: {
    name: 'CloudWatch, through SNS',
    secret: 'none',
    where: 'An HTTPS subscription of the topic; it is confirmed by itself.',
    paste: (address) => `Endpoint           ${address}
Alarm description  … migration=<id>`,
  },
  cloudevents: {
    name: 'CloudEvents',
    secret: 'made',
    where: 'Structured, batched or binary; the handshake is answered.',
    paste: bearer,
  },
  'standard-webhooks': {
    name: 'Standard Webhooks',
    secret: 'made',
    where: 'With the secret as the key of the signature.',
    paste: (address, secret) => `URL     ${address}\nSecret  ${secret}`,
  },
  plain: {
    name: 'Anything that can post JSON',
    secret: 'made',
    where: 'A rate with its samples is judged by the tripwires.',
    paste: (address, secret) => `curl ${address} \\
  -H 'Authorization: Bearer ${secret}' \\
  -H 'Content-Type: application/json' \\
  -d '{"migration":"<id>","errorRate":0.07,"samples":1000,"window":"1m"}'`,
  },
}

export const KINDS = Object.keys(SET_UP) as SourceKind[]
