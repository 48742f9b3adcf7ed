import { z } from 'zod'
import type { Receiver } from './receiver.ts'
import { labelsInText, readJson, signalFrom, text } from './signal-from.ts'
import { failed, headerOf, hmacHex, matchesAny, passed } from './signatures.ts'

const schema = z.looseObject({
  event: z.looseObject({
    id: z.string().min(1),
    event_type: z.string(),
    occurred_at: z.string().optional().catch(undefined),
    data: z
      .looseObject({
        title: text.optional().catch(undefined),
        html_url: z.string().optional().catch(undefined),
        urgency: text.optional().catch(undefined),
        created_at: z.string().optional().catch(undefined),
        service: z.looseObject({ id: text, summary: text.optional() }).optional().catch(undefined),
      })
      .nullable()
      .optional(),
  }),
})

const STATUS: Readonly<Record<string, 'firing' | 'resolved'>> = {
  'incident.triggered': 'firing',
  'incident.reopened': 'firing',
  'incident.resolved': 'resolved',
}

/** PagerDuty webhooks, version 3. */
export const pagerduty: Receiver = {
  proof: 'signature',
  verify: ({ headers, raw }, secrets) => {
    const claimed = (headerOf(headers, 'x-pagerduty-signature') ?? '')
      .split(',')
      .slice(0, 10)
      .map((each) => each.trim())
      .filter((each) => each.startsWith('v1='))
    if (claimed.length === 0) return failed('X-PagerDuty-Signature is missing')
    const right = matchesAny(claimed, secrets, (secret) => `v1=${hmacHex(secret, raw)}`)
    return right ? passed : failed('the signature is not right')
  },
  read: ({ raw, receivedAt }) => {
    const { event } = readJson(raw, schema)
    const status = Object.hasOwn(STATUS, event.event_type) ? STATUS[event.event_type] : undefined
    if (status === undefined) {
      return { signals: [], ignored: `the event "${event.event_type.slice(0, 50)}" asks for nothing` }
    }
    const { title, html_url: link, urgency, service } = event.data ?? {}
    return {
      signals: [
        signalFrom({
          source: 'pagerduty',
          key: event.id,
          status,
          name: title,
          labels: {
            ...labelsInText(title),
            ...(urgency === undefined ? {} : { urgency }),
            ...(service === undefined
              ? {}
              : { service: service.summary ?? service.id, service_id: service.id }),
          },
          startedAt: event.occurred_at,
          receivedAt,
          summary: title,
          link,
        }),
      ],
    }
  },
}
