import type { Signal } from '@switchback/migrations-registry'
import { durationSchema } from '@switchback/migrations-registry'
import { z } from 'zod'
import { readValue, signalFrom, text } from './signal-from.ts'

/** What an event is about, for systems whose envelope says nothing of alerts; see docs/alerts.md. */
const schema = z.looseObject({
  status: z.enum(['firing', 'resolved']).default('firing'),
  name: text.optional(),
  summary: text.optional(),
  labels: z.record(z.string(), text).default({}),
  migration: text.optional(),
  epoch: text.optional(),
  path: text.optional(),
  operation: text.optional(),
  startedAt: z.iso.datetime({ offset: true }).optional(),
  link: z.string().optional().catch(undefined),
  errorRate: z.number().min(0).max(1).optional(),
  samples: z.int().min(0).optional(),
  window: z.union([durationSchema, z.int().min(1).max(86_400_000)]).default(60_000),
})

interface Envelope {
  readonly source: string
  readonly key: string
  readonly name: string
  readonly at: string | undefined
  readonly receivedAt: number
}

/** @throws Unreadable */
export function signalOfEvent(data: unknown, envelope: Envelope): Signal {
  const given = readValue(data, schema)
  const { migration, epoch, path, operation, errorRate, samples, window } = given
  const named = Object.entries({ migration, epoch, path, operation }).flatMap(([label, value]) =>
    value === undefined ? [] : [[label, value] as const],
  )
  return signalFrom({
    source: envelope.source,
    key: envelope.key,
    status: given.status,
    name: given.name ?? envelope.name,
    labels: { ...given.labels, ...Object.fromEntries(named) },
    startedAt: given.startedAt ?? envelope.at,
    receivedAt: envelope.receivedAt,
    summary: given.summary,
    link: given.link,
    measured: errorRate === undefined || samples === undefined ? undefined : { errorRate, samples, window },
  })
}
