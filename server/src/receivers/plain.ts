import type { Signal } from '@switchback/migrations-registry'
import { durationSchema, migrationIdSchema } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Receiver } from './receiver.ts'
import { clean, digestOf, readJson } from './signal-from.ts'

/** The plain alert: a measurement, for systems that know the rate and for scripts. */
export const plainAlertSchema = z
  .strictObject({
    migration: migrationIdSchema,
    path: z.enum(['old', 'new']).optional().describe('Path that was measured; new where not given'),
    operation: z
      .enum(['read', 'write'])
      .optional()
      .describe('Writes that fail take a revert one step further'),
    errorRate: z.number().min(0).max(1).describe('Failed operations, as a ratio from 0 to 1'),
    samples: z.int().min(0).describe('Operations that were measured'),
    window: z
      .union([durationSchema, z.int().min(1).max(86_400_000)], {
        error: 'expected a duration such as "1m", or milliseconds',
      })
      .describe('Time over which was measured: "1m", or milliseconds'),
    startedAt: z.iso
      .datetime({ offset: true })
      .transform((text) => Date.parse(text))
      .optional()
      .describe('When the alert began; the time of receipt where not given'),
    id: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe('Identity of the delivery: the same again is a duplicate'),
    epoch: z.int().min(1).optional().describe('Epoch that was measured; of a passed one nothing is made'),
  })
  .meta({ id: 'PlainAlert' })

export type PlainAlert = z.output<typeof plainAlertSchema>

/**
 * @param raw the body as it came. Without an id, a delivery is known by it, provided it says when the alert
 *   began: two equal measurements of different windows are two alerts.
 */
export function signalOfPlain(alert: PlainAlert, raw: Buffer, receivedAt: number, nonce: string): Signal {
  const { migration, path, operation, errorRate, samples, window, startedAt, epoch } = alert
  const dedupKey =
    alert.id !== undefined
      ? `id:${clean(alert.id)}`
      : startedAt !== undefined
        ? `body:${digestOf(raw)}`
        : `once:${nonce}`
  return {
    source: 'plain',
    dedupKey,
    status: 'firing',
    name: 'error-rate',
    labels: {},
    startedAt: Math.min(startedAt ?? receivedAt, receivedAt),
    receivedAt,
    summary: `${Number((errorRate * 100).toFixed(3))}% of ${samples} operations failed`,
    migration,
    measured: { errorRate, samples, window },
    ...(path === undefined ? {} : { path }),
    ...(operation === undefined ? {} : { operation }),
    ...(epoch === undefined ? {} : { epoch }),
  }
}

/**
 * Through a source of its own. Without id and beginning the body alone tells deliveries apart, and its time of
 * receipt: two equal measurements are two alerts.
 */
export const plain: Receiver = {
  proof: 'bearer',
  read: ({ raw, receivedAt }) => ({
    signals: [
      signalOfPlain(readJson(raw, plainAlertSchema), raw, receivedAt, `${receivedAt}:${digestOf(raw)}`),
    ],
  }),
}
