import { alertmanager } from './alertmanager.ts'
import { cloudevents } from './cloudevents.ts'
import { createCloudwatch } from './cloudwatch.ts'
import { datadog } from './datadog.ts'
import { grafana } from './grafana.ts'
import { pagerduty } from './pagerduty.ts'
import { plain } from './plain.ts'
import type { Receiver } from './receiver.ts'
import { sentry } from './sentry.ts'
import { type AskSns, createSnsVerifier } from './sns.ts'
import { standardWebhooks } from './standard-webhooks.ts'

export const SOURCE_KINDS = [
  'alertmanager',
  'grafana',
  'datadog',
  'sentry',
  'pagerduty',
  'cloudwatch',
  'cloudevents',
  'standard-webhooks',
  'plain',
] as const
export type SourceKind = (typeof SOURCE_KINDS)[number]

export type Receivers = Readonly<Record<SourceKind, Receiver>>

/** @param askSns asks an address that was proven to be one of SNS */
export const createReceivers = (askSns: AskSns): Receivers => ({
  alertmanager,
  grafana,
  datadog,
  sentry,
  pagerduty,
  cloudwatch: createCloudwatch(createSnsVerifier(askSns)),
  cloudevents,
  'standard-webhooks': standardWebhooks,
  plain,
})
