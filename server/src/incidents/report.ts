import { formatDuration, type MigrationDefinition } from '@switchback/migrations-registry'
import { communicationsOf } from './communications.ts'
import type { Incident, IncidentEvent } from './incident-store.ts'

export interface ReportFacts {
  readonly incident: Incident
  readonly timeline: readonly IncidentEvent[]
  /** Undefined where the migration is gone. */
  readonly definition: MigrationDefinition | undefined
  /** What instances are known to have handlers for the migration. */
  readonly instances: readonly { readonly id: string; readonly app: string; readonly version: string }[]
  /** Keys that wait for repair now; undefined where the target could not be asked. */
  readonly repairs: { readonly old: number; readonly new: number } | undefined
}

const stamp = (at: number): string => new Date(at).toISOString().replace('T', ' ').replace('Z', '')
/** One cell of a table: text from anywhere breaks neither the table nor becomes markup. */
const cell = (text: string): string =>
  text.replaceAll(/\s+/g, ' ').replaceAll(/[\\`*_{}[\]<>|#]/g, (found) => `\\${found}`)

/** The report of an incident, in Markdown: what was seen when, who decided what by which numbers, how long it took. */
export function reportOf(facts: ReportFacts): string {
  const { incident, timeline, definition, instances, repairs } = facts
  const { id, migration, cause, from, to, status, kind, verification } = incident
  const began = incident.beganAt ?? incident.alertedAt ?? incident.openedAt
  const decision = timeline.find((entry) => entry.kind === 'decided')
  const told = communicationsOf(incident)
  const took = (name: string, until: number | undefined): readonly string[] =>
    until === undefined ? [] : [`| ${name} | ${formatDuration(Math.max(0, until - began))} |`]
  const lines = [
    `# ${cell(incident.title)}`,
    '',
    `Incident \`${id}\` of the migration \`${migration}\`${definition === undefined ? '' : ` (${cell(definition.title)})`}, ${status}.`,
    '',
    '| | |',
    '| --- | --- |',
    `| ${kind === 'refused' ? 'stands at' : 'from'} | ${from.phase}, epoch ${from.epoch} |`,
    ...(kind === 'refused' ? [] : [`| to | ${to.phase}, epoch ${to.epoch} |`]),
    `| cause | ${cell(cause.reason)} |`,
    `| decided by | ${cell(cause.by)} (${cause.kind}) |`,
    ...(cause.path === undefined
      ? []
      : [`| failing | ${cause.operation ?? 'operations'} on ${cause.path} |`]),
    ...(incident.ackedBy === undefined
      ? []
      : [`| taken up | ${cell(incident.ackedBy)}, ${stamp(incident.ackedAt ?? 0)} |`]),
    `| verified | ${verification === undefined ? 'not yet' : verification.outcome} |`,
    '',
    '## How long it took, from the first sign',
    '',
    '| until | |',
    '| --- | --- |',
    ...took('the alert, or the breach, was here', incident.alertedAt),
    ...took('the revert was committed', incident.committedAt),
    ...took('the first instance had switched', incident.firstAckAt),
    ...took('the last instance had switched (time to rollback)', incident.lastAckAt),
    ...took('it was verified', verification?.at),
    ...took('somebody had taken it up', incident.ackedAt),
    ...took('it was resolved', incident.resolvedAt),
    '',
    '## Timeline (UTC)',
    '',
    '| at | what | |',
    '| --- | --- | --- |',
    ...timeline.map((entry) => `| ${stamp(entry.at)} | ${cell(entry.kind)} | ${cell(entry.message)} |`),
    '',
    '## What was decided by',
    '',
    decision === undefined ? 'A person.' : cell(decision.message),
    ...numbersOf(timeline),
    '',
    '## What was affected',
    '',
    instances.length === 0
      ? '- No instance is known.'
      : `- ${instances.length} instances: ${instances.map((each) => `${cell(each.id)} (${cell(each.app)} ${cell(each.version)})`).join(', ')}`,
    repairs === undefined
      ? '- The target could not be asked for keys that wait for repair.'
      : `- Keys that wait for repair now: ${repairs.old} of old, ${repairs.new} of new.`,
    ...(verification === undefined
      ? []
      : [
          '',
          '## Whether it has helped',
          '',
          ...verification.findings.map(
            (finding) => `- ${cell(finding.name)}: **${finding.outcome}**. ${cell(finding.message)}`,
          ),
        ]),
    ...linksOf(timeline),
    '',
    '## What to tell',
    '',
    ...Object.entries(told).map(([stage, text]) => `- **${stage}:** ${cell(text)}`),
    '',
    '## What was learned',
    '',
    '_To be written by people: why it was not found before, and what is changed so that it is._',
  ]
  return `${lines.join('\n')}\n`
}

function numbersOf(timeline: readonly IncidentEvent[]): readonly string[] {
  const seen = timeline.filter(
    ({ detail }) =>
      (Object.keys(detail).length > 0 && 'measured' in detail) || 'numbers' in detail || 'labels' in detail,
  )
  if (seen.length === 0) return []
  const [first] = seen
  return ['', '```json', JSON.stringify(first?.detail, undefined, 2).replaceAll('```', "'''"), '```']
}

function linksOf(timeline: readonly IncidentEvent[]): readonly string[] {
  const links = timeline.flatMap(({ detail }) => (typeof detail.link === 'string' ? [detail.link] : []))
  return links.length === 0
    ? []
    : ['', '## Links', '', ...[...new Set(links)].map((link) => `- <${link.replaceAll(/[<>\s]/g, '')}>`)]
}
