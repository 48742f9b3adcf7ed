import { formatDuration } from '@switchback/migrations-registry'
import type { Command } from 'commander'
import { parseCount, remote, withQuery } from './remote.ts'
import { clockTime, type Paint, plain, type Terminal, table } from './terminal.ts'
import type { EventView, FlagView, IncidentView } from './views.ts'

const LIMIT = ['--limit <n>', 'at most so many'] as const

const flagsTable = (flags: readonly FlagView[], paint: Paint): string =>
  flags.length === 0
    ? 'No flags beside those of migrations.'
    : table(
        ['key', 'enabled', 'default', 'requires', 'description'],
        flags.map(({ key, enabled, defaultVariant, requires, description }) => [
          key,
          enabled ? 'yes' : 'no',
          defaultVariant,
          requires === undefined ? '' : `${requires.migration} at ${requires.phase}`,
          description,
        ]),
        paint,
      )

const incidentsTable = (incidents: readonly IncidentView[], paint: Paint): string =>
  incidents.length === 0
    ? 'No incidents.'
    : table(
        ['id', 'opened', 'status', 'title'],
        incidents.map(({ id, openedAt, status, title }) => [id, clockTime(openedAt), status, title]),
        paint,
      )

function incidentText(incident: IncidentView, paint: Paint): string {
  const { id, title, status, alertToCommitMs, alertToLastAckMs, timeline = [] } = incident
  const took = (name: string, ms: number | undefined): string[] =>
    ms === undefined ? [] : [`${name} ${formatDuration(ms)}`]
  const times = [...took('alert to commit', alertToCommitMs), ...took('alert to last ack', alertToLastAckMs)]
  return [
    paint.bold(plain(`${id}  ${status}`)),
    plain(title),
    ...(times.length === 0 ? [] : [times.join(', ')]),
    '',
    table(
      ['at', 'what', ''],
      timeline.map(({ at, kind, message }) => [clockTime(at), kind, message]),
      paint,
    ),
  ].join('\n')
}

const eventsTable = (events: readonly EventView[], paint: Paint): string =>
  events.length === 0
    ? 'Nothing is written down.'
    : table(
        ['revision', 'at', 'who', 'what', 'about'],
        events.map(({ revision, at, actor, kind, subject }) => [
          String(revision),
          clockTime(at),
          actor,
          kind,
          subject ?? '',
        ]),
        paint,
      )

/** Adds the commands that show what is written down: flags, incidents, the audit log. */
export function addRecordCommands(program: Command, terminal: Terminal): void {
  remote(
    program.command('flags').description('ordinary flags'),
    terminal,
    async ({ client, show, paint }) => {
      const answer = await client.call<{ readonly flags: readonly FlagView[] }>('GET', '/v1/flags')
      show(answer, () => flagsTable(answer.flags, paint))
    },
  )
  remote<{ migration?: string; limit?: number }>(
    program
      .command('incidents')
      .description('incidents, or one of them with its timeline')
      .argument('[id]')
      .option('--migration <id>')
      .option(...LIMIT, parseCount),
    terminal,
    async ({ client, show, paint }, [id], { migration, limit }) => {
      if (id !== undefined) {
        const incident = await client.call<IncidentView>('GET', `/v1/incidents/${encodeURIComponent(id)}`)
        show(incident, () => incidentText(incident, paint))
        return
      }
      const path = withQuery('/v1/incidents', { migration, limit })
      const answer = await client.call<{ readonly incidents: readonly IncidentView[] }>('GET', path)
      show(answer, () => incidentsTable(answer.incidents, paint))
    },
  )
  remote<{ subject?: string; limit?: number }>(
    program
      .command('audit')
      .description('who changed what, newest first')
      .option('--subject <id>', 'about this migration, flag, token or instance')
      .option(...LIMIT, parseCount),
    terminal,
    async ({ client, show, paint }, _, { subject, limit }) => {
      const path = withQuery('/v1/events', { subject, limit })
      const answer = await client.call<{ readonly events: readonly EventView[] }>('GET', path)
      show(answer, () => eventsTable(answer.events, paint))
    },
  )
}
