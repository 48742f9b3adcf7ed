import { z } from 'zod'
import { type Receiver, Unreadable } from './receiver.ts'
import { labelsInText, readJson, signalFrom, text } from './signal-from.ts'
import { failed } from './signatures.ts'
import { type SnsVerifier, snsSchema, snsUrl } from './sns.ts'

const alarmSchema = z.looseObject({
  AlarmName: text,
  AlarmDescription: text.nullish().catch(undefined),
  NewStateValue: z.enum(['OK', 'ALARM', 'INSUFFICIENT_DATA']),
  NewStateReason: text.nullish().catch(undefined),
  StateChangeTime: z.string().optional().catch(undefined),
  Region: text.optional().catch(undefined),
  Trigger: z
    .looseObject({
      MetricName: text.optional(),
      Namespace: text.optional(),
      Dimensions: z
        .array(z.looseObject({ name: text, value: text }))
        .optional()
        .catch(undefined),
    })
    .optional()
    .catch(undefined),
})

/** CloudWatch alarms by way of SNS. */
export function createCloudwatch(sns: SnsVerifier): Receiver {
  return {
    proof: 'certificate',
    verify: async ({ raw, receivedAt }, _, settings) => {
      try {
        // What is signed lies inside the JSON: nothing else of it is looked at before.
        return await sns.verify(readJson(raw, snsSchema), settings, receivedAt)
      } catch (error) {
        if (error instanceof Unreadable) return failed(`not a message of SNS: ${error.message}`)
        throw error
      }
    },
    read: ({ raw, receivedAt }) => {
      const message = readJson(raw, snsSchema)
      if (message.Type === 'SubscriptionConfirmation') {
        const confirm = snsUrl(message.SubscribeURL ?? '', /^\/$/)
        if (confirm === undefined) throw new Unreadable('SubscribeURL: not an address of SNS')
        return { signals: [], ignored: 'the subscription is confirmed', confirm }
      }
      if (message.Type !== 'Notification') return { signals: [], ignored: 'the subscription was ended' }
      const alarm = readJson(message.Message, alarmSchema)
      if (alarm.NewStateValue === 'INSUFFICIENT_DATA') {
        return { signals: [], ignored: 'insufficient data proves nothing' }
      }
      const dimensions = (alarm.Trigger?.Dimensions ?? []).map(({ name, value }) => [name, value] as const)
      const described = labelsInText(alarm.AlarmDescription ?? undefined, alarm.AlarmName)
      return {
        signals: [
          signalFrom({
            source: 'cloudwatch',
            key: message.MessageId,
            status: alarm.NewStateValue === 'OK' ? 'resolved' : 'firing',
            name: alarm.AlarmName,
            labels: {
              ...Object.fromEntries(dimensions),
              ...described,
              alertname: alarm.AlarmName,
              ...(alarm.Region === undefined ? {} : { region: alarm.Region }),
            },
            startedAt: alarm.StateChangeTime?.replace(/([+-]\d\d)(\d\d)$/, '$1:$2') ?? message.Timestamp,
            receivedAt,
            summary: alarm.NewStateReason ?? undefined,
          }),
        ],
      }
    },
  }
}
