import { Webhook } from 'standardwebhooks'
import { z } from 'zod'
import { signalOfEvent } from './event-data.ts'
import type { Receiver } from './receiver.ts'
import { readJson } from './signal-from.ts'
import { failed, headerOf, passed } from './signatures.ts'

const schema = z.looseObject({
  type: z.string().default('alert'),
  timestamp: z.iso.datetime({ offset: true }).optional(),
  data: z.unknown(),
})

const SECRET = /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/

/** Standard Webhooks: `webhook-id`, `-timestamp` and `-signature` over all three parts. */
export const standardWebhooks: Receiver = {
  proof: 'signature',
  verify: ({ headers, raw }, secrets) => {
    const given = {
      'webhook-id': headerOf(headers, 'webhook-id') ?? '',
      'webhook-timestamp': headerOf(headers, 'webhook-timestamp') ?? '',
      'webhook-signature': headerOf(headers, 'webhook-signature') ?? '',
    }
    if (Object.values(given).includes('')) return failed('a webhook- header is missing')
    let why = 'the signature is not right'
    for (const secret of secrets) {
      try {
        new Webhook(secret).verify(raw, given, { jsonParse: false })
        return passed
      } catch (error) {
        if (error instanceof Error && /timestamp/i.test(error.message)) why = 'the timestamp is old'
      }
    }
    return failed(why)
  },
  read: ({ headers, raw, receivedAt }) => {
    const { type, timestamp, data } = readJson(raw, schema)
    const id = headerOf(headers, 'webhook-id') ?? ''
    return {
      signals: [
        signalOfEvent(data, { source: 'standard-webhooks', key: id, name: type, at: timestamp, receivedAt }),
      ],
    }
  },
  secretProblem: (secret) =>
    SECRET.test(secret) ? undefined : 'expected "whsec_" and at least 24 bytes in base64',
  makeSecret: (randomBytes) => `whsec_${randomBytes(32).toString('base64')}`,
}
