import { formatDuration } from '@switchback/migrations-registry'
import type { Incident } from './incident-store.ts'

/** Texts for a status page or a channel, one for each stage of an incident; filled from what is known now. */
export interface Communications {
  readonly investigating: string
  readonly identified: string
  readonly reverted: string
  readonly resolved: string
}

const clock = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`

/** Pure: the same incident gives the same texts. */
export function communicationsOf(incident: Incident): Communications {
  const { migration, cause, from, to, openedAt, kind } = incident
  const began = incident.beganAt ?? incident.alertedAt ?? openedAt
  const where = cause.path === undefined ? 'the change' : `the ${cause.path} path`
  const operation = cause.operation === undefined ? '' : `, on ${cause.operation}s`
  const investigating = `Since ${clock(began)} we see problems that may come from the migration ${migration}. We are looking into them.`
  const identified = `The cause is ${where} of ${migration}${operation}: ${cause.reason}`
  if (kind === 'refused') {
    const waits = `${migration} could not be switched back by itself from ${from.phase}; somebody is deciding about it.`
    return { investigating, identified, reverted: waits, resolved: resolvedText(incident) }
  }
  if (to.epoch === from.epoch) {
    const begun = `${migration} is on its way back from ${from.phase} since ${clock(openedAt)}; nobody has been switched. Cause: ${cause.reason}`
    return { investigating, identified, reverted: begun, resolved: resolvedText(incident) }
  }
  const took = incident.lastAckAt === undefined ? undefined : Math.max(0, incident.lastAckAt - began)
  const spread =
    took === undefined
      ? 'Instances are switching over.'
      : `Every instance had switched ${formatDuration(took)} after the first sign.`
  const reverted = `${migration} was switched back from ${from.phase} to ${to.phase} at ${clock(incident.committedAt ?? openedAt)}. ${spread} Cause: ${cause.reason}`
  return { investigating, identified, reverted, resolved: resolvedText(incident) }
}

function resolvedText({ migration, resolvedAt, openedAt }: Incident): string {
  if (resolvedAt === undefined) return `The incident of ${migration} is not resolved yet.`
  const lasted = formatDuration(resolvedAt - openedAt)
  return `The incident of ${migration} is resolved since ${clock(resolvedAt)}, after ${lasted}. The migration may go on.`
}
