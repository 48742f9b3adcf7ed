import { z } from 'zod'
import { signalOfEvent } from './event-data.ts'
import type { Delivery, Receiver } from './receiver.ts'
import { Unreadable } from './receiver.ts'
import { readJson, readValue } from './signal-from.ts'
import { headerOf } from './signatures.ts'

const attributes = z.looseObject({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string().min(1),
  type: z.string().min(1),
  time: z.iso.datetime({ offset: true }).optional(),
})
const structured = attributes.extend({ data: z.unknown() })

/** CloudEvents 1.0 over HTTP: structured, batched or binary. */
export const cloudevents: Receiver = {
  proof: 'bearer',
  read: (delivery) => {
    const type = (headerOf(delivery.headers, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase()
    const { raw, receivedAt } = delivery
    const events =
      type === 'application/cloudevents-batch+json'
        ? readJson(raw, z.array(structured).max(1000))
        : type === 'application/cloudevents+json'
          ? [readJson(raw, structured)]
          : [binary(delivery)]
    return {
      signals: events.map(({ id, source, type: name, time, data }) =>
        signalOfEvent(data, { source: 'cloudevents', key: `${source}#${id}`, name, at: time, receivedAt }),
      ),
    }
  },
}

/** The attributes as headers, the data as the body. */
function binary({ headers, raw }: Delivery): z.output<typeof structured> {
  if (headerOf(headers, 'ce-specversion') === undefined) {
    throw new Unreadable('neither Content-Type application/cloudevents+json nor the header ce-specversion')
  }
  const given = Object.fromEntries(
    ['specversion', 'id', 'source', 'type', 'time'].flatMap((name) => {
      const value = headerOf(headers, `ce-${name}`)
      return value === undefined ? [] : [[name, decoded(value)] as const]
    }),
  )
  return { ...readValue(given, attributes), data: readJson(raw, z.unknown()) }
}

/** Header values are percent-encoded where they go beyond ASCII. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/** The answer to the handshake by which a sender asks whether it may deliver; undefined where it asks nothing. */
export function handshake(headers: Delivery['headers']): Readonly<Record<string, string>> | undefined {
  const origin = headerOf(headers, 'webhook-request-origin')
  if (origin === undefined || !/^[\w.:*-]{1,253}$/.test(origin)) return undefined
  // A callback address is not asked: whoever delivers proves itself by its token, and we ask nobody's address.
  return { 'WebHook-Allowed-Origin': origin, 'WebHook-Allowed-Rate': '*', Allow: 'POST, OPTIONS' }
}
