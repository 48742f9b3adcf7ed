import type { Schema } from '../api/client.ts'

const iso = (at: number): string => new Date(at).toISOString()

/** The incident as a text to hand round. */
export function reportOf(incident: Schema<'IncidentDetail'>): string {
  const { id, title, migration, status, from, to, cause, timeline, alertToCommitMs, alertToLastAckMs } =
    incident
  const took = [
    ...(alertToCommitMs === undefined ? [] : [`- From the alert to the commit: ${alertToCommitMs} ms`]),
    ...(alertToLastAckMs === undefined
      ? []
      : [`- From the alert to the last instance: ${alertToLastAckMs} ms`]),
  ]
  return [
    `# ${title}`,
    '',
    `- Incident: ${id}, ${status}`,
    `- Migration: ${migration}`,
    `- Way: ${from.phase} (epoch ${from.epoch}) to ${to.phase} (epoch ${to.epoch})`,
    `- Cause: ${cause.kind}, by ${cause.by}: ${cause.reason}`,
    ...took,
    '',
    '## Timeline',
    '',
    '| time | what | |',
    '| --- | --- | --- |',
    ...timeline.map(
      ({ at, kind, message }) => `| ${iso(at)} | ${kind} | ${message.replaceAll('|', '\\|')} |`,
    ),
    '',
  ].join('\n')
}
