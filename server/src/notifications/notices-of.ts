import { communicationsOf } from '../incidents/communications.ts'
import type { Incident } from '../incidents/incident-store.ts'
import type { Notice, NoticeKind, Severity } from './notice.ts'

/** An entry of an incident's timeline. */
export interface TimelineEntry {
  readonly at: number
  readonly kind: string
  readonly message: string
}

/** An entry of the audit log. */
export interface AuditEntry {
  readonly at: number
  readonly actor: string
  readonly kind: string
  readonly subject: string
  readonly detail: Readonly<Record<string, unknown>>
}

const OF_TIMELINE: Readonly<Record<string, readonly [NoticeKind, Severity, string]>> = {
  reverted: ['reverted', 'critical', 'switched back'],
  asked: ['revert-asked', 'critical', 'is to be switched back'],
  'revert-refused': ['revert-refused', 'critical', 'could not be switched back by itself'],
  verified: ['verified', 'info', 'is verified after the revert'],
  'verification-failed': ['verification-failed', 'critical', 'is not well after the revert'],
  'verification-inconclusive': [
    'verification-inconclusive',
    'warning',
    'could not be verified after the revert',
  ],
  unanswered: ['unanswered', 'critical', 'waits: nobody has acknowledged'],
  acknowledged: ['acknowledged', 'info', 'has been taken up'],
  rearmed: ['resolved', 'info', 'is resolved'],
}

/** What is to be told of an entry in a timeline; undefined for those that are told with another. */
export function noticeOfEvent(
  incident: Incident,
  entry: TimelineEntry,
  links: readonly { readonly title: string; readonly url: string }[],
): Notice | undefined {
  const found = Object.hasOwn(OF_TIMELINE, entry.kind) ? OF_TIMELINE[entry.kind] : undefined
  if (found === undefined) return undefined
  const [kind, severity, what] = found
  const { migration, from, to, cause, id } = incident
  const told = communicationsOf(incident)
  const text = kind === 'resolved' ? told.resolved : kind === 'reverted' ? told.reverted : entry.message
  return {
    kind,
    severity,
    title: `${migration} ${what}`,
    text,
    at: entry.at,
    migration,
    incident: id,
    facts: [
      { name: 'cause', value: cause.reason },
      { name: 'by', value: cause.by },
      { name: 'from', value: `${from.phase}, epoch ${from.epoch}` },
      { name: 'to', value: `${to.phase}, epoch ${to.epoch}` },
    ],
    links,
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const partOf = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined

/** What is to be told of an entry in the audit log: what happens beside incidents. */
export function noticeOfAudit(
  { at, actor, kind, subject: migration, detail }: AuditEntry,
  links: readonly { readonly title: string; readonly url: string }[],
): Notice | undefined {
  const base = { at, migration, links, facts: [{ name: 'by', value: actor }] }
  const command = detail.command
  if (kind === 'work.failed') {
    const work = textOf(partOf(command, 'kind'))
    return {
      ...base,
      kind: 'work-failed',
      severity: 'warning',
      title: `${migration}: ${work} failed`,
      text: `${textOf(partOf(command, 'error')) || 'unknown error'} Once mended: switchback retry ${migration}`,
    }
  }
  // A person who pauses knows of it.
  if (kind === 'migration.paused' && (actor === 'alert' || actor === 'tripwire')) {
    const title = `${migration} was paused`
    const text = `Paused by ${actor === 'alert' ? 'an alert' : 'a tripwire'}. To go on: switchback pause ${migration} --off`
    return { ...base, kind: 'paused', severity: 'warning', title, text }
  }
  if (kind === 'work.done' && partOf(detail.to, 'phase') === 'contracted') {
    const title = `${migration} is completed`
    const text = `Old is archived and gone. How did it go? switchback rate ${migration} --score 1..5`
    return { ...base, kind: 'completed', severity: 'info', title, text }
  }
  return undefined
}
