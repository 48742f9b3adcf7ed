import { alertmanagerSchema, signalsOfAlertmanager } from './alertmanager.ts'
import type { Receiver } from './receiver.ts'
import { readJson } from './signal-from.ts'
import { failed, headerOf, hmacHex, isRecent, matchesAny, passed } from './signatures.ts'

/**
 * Grafana Alerting: HMAC-SHA256 of the body, or of `timestamp:body` where the contact point sets a timestamp
 * header. Its payload is Alertmanager's with additions.
 */
export const grafana: Receiver = {
  proof: 'signature',
  verify: ({ headers, raw, receivedAt }, secrets) => {
    const signature = headerOf(headers, 'x-grafana-alerting-signature')
    if (signature === undefined) return failed('X-Grafana-Alerting-Signature is missing')
    const timestamp = headerOf(headers, 'x-grafana-alerting-timestamp')
    if (timestamp !== undefined && !isRecent(timestamp, receivedAt)) return failed('the timestamp is old')
    const before = timestamp === undefined ? [] : [`${timestamp}:`]
    const right = matchesAny([signature], secrets, (secret) => hmacHex(secret, ...before, raw))
    return right ? passed : failed('the signature is not right')
  },
  read: ({ raw, receivedAt }) => ({
    signals: signalsOfAlertmanager(readJson(raw, alertmanagerSchema), receivedAt, 'grafana'),
  }),
  makeSecret: (randomBytes) => randomBytes(32).toString('base64url'),
}
