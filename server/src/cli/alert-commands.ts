import { type Command, Option } from 'commander'
import { SOURCE_KINDS } from '../receivers/receivers.ts'
import { parseCount, remote, withQuery } from './remote.ts'
import { clockTime, type Paint, type Terminal, table } from './terminal.ts'
import type { AlertView, SourceView } from './views.ts'

const alertsTable = (alerts: readonly AlertView[], paint: Paint): string =>
  alerts.length === 0
    ? 'No alerts.'
    : table(
        ['id', 'received', 'from', 'migration', 'action', 'why', 'incident'],
        alerts.map((alert) => [
          alert.id,
          clockTime(alert.receivedAt),
          `${alert.signal.source} ${alert.signal.name}`,
          alert.migration ?? '',
          alert.action ?? (alert.status === 'dead' ? 'dead' : 'undecided'),
          alert.error ?? alert.explanation ?? alert.reason ?? '',
          alert.incident ?? '',
        ]),
        paint,
      )

const sourcesTable = (sources: readonly SourceView[], paint: Paint): string =>
  sources.length === 0
    ? 'No alert sources.'
    : table(
        ['name', 'kind', 'address', 'migrations', 'secrets', 'last used'],
        sources.map((source) => [
          source.name,
          source.kind,
          source.path,
          source.migrations?.join(' ') ?? 'all',
          source.revokedAt === undefined ? source.secrets.map(({ id }) => id).join(' ') : 'revoked',
          source.lastUsedAt === undefined ? 'never' : clockTime(source.lastUsedAt),
        ]),
        paint,
      )

/** Where it delivers and by what secret, for whoever sets up the sender. */
const madeText = ({ path, secret }: SourceView, url: string): string =>
  [`address  ${url}${path}`, ...(secret === undefined ? [] : [`secret   ${secret}  (shown this once)`])].join(
    '\n',
  )

const sourcePath = (name: string, rest = ''): string => `/v1/alert-sources/${encodeURIComponent(name)}${rest}`

/** Adds the commands about alerts: what came in, dead letters, and who may deliver. */
export function addAlertCommands(program: Command, terminal: Terminal): void {
  const alerts = program
    .command('alerts')
    .description('alerts that came in, and what was decided about them')
    .option('--migration <id>')
    .option('--dead', 'only such as could not be read or decided, and wait to be replayed')
    .option('--limit <n>', 'at most so many', parseCount)
  remote<{ migration?: string; limit?: number; dead?: boolean }>(
    alerts,
    terminal,
    async ({ client, show, paint }, _, { migration, limit, dead }) => {
      const status = dead === true ? 'dead' : undefined
      const path = withQuery('/v1/alerts', { migration, limit, status })
      const answer = await client.call<{ readonly alerts: readonly AlertView[] }>('GET', path)
      show(answer, () => alertsTable(answer.alerts, paint))
    },
  )
  remote(
    alerts.command('replay').description('take up a dead alert again').argument('<id>'),
    terminal,
    async ({ client, show }, [id = '']) => {
      const path = `/v1/alerts/${encodeURIComponent(id)}/replay`
      const answer = await client.call<{ readonly accepted: readonly { readonly id: string }[] }>(
        'POST',
        path,
        {},
      )
      show(answer, () => `taken up: ${answer.accepted.map((each) => each.id).join(' ') || 'nothing in it'}`)
    },
  )

  const source = program.command('alert-source').description('alerting systems that may deliver')
  remote<{ kind: string; migration?: string[]; secret?: string; topic?: string[] }>(
    source
      .command('create')
      .description('register an alerting system; a secret that is made is shown this once')
      .argument('<name>', 'becomes part of its address')
      .addOption(new Option('--kind <kind>').choices(SOURCE_KINDS).makeOptionMandatory())
      .option('--migration <id...>', 'for these migrations only')
      .option('--secret <secret>', 'where the alerting system makes it')
      .option('--topic <arn...>', 'cloudwatch: SNS topics that are believed'),
    terminal,
    async ({ client, show }, [name = ''], { kind, migration, secret, topic }) => {
      const answer = await client.call<SourceView>('POST', '/v1/alert-sources', {
        name,
        kind,
        ...(migration === undefined ? {} : { migrations: migration }),
        ...(secret === undefined ? {} : { secret }),
        ...(topic === undefined ? {} : { topics: topic }),
      })
      show(answer, () => madeText(answer, client.url))
    },
  )
  remote(source.command('list').description('all of them'), terminal, async ({ client, show, paint }) => {
    const answer = await client.call<{ readonly sources: readonly SourceView[] }>('GET', '/v1/alert-sources')
    show(answer, () => sourcesTable(answer.sources, paint))
  })
  remote<{ secret?: string; drop?: string }>(
    source
      .command('rotate')
      .description('add a second secret, good beside the newest one; or end one with --drop')
      .argument('<name>')
      .option('--secret <secret>', 'where the alerting system makes it')
      .option('--drop <id>', 'end this secret instead'),
    terminal,
    async ({ client, show }, [name = ''], { secret, drop }) => {
      const answer =
        drop === undefined
          ? await client.call<SourceView>(
              'POST',
              sourcePath(name, '/secrets'),
              secret === undefined ? {} : { secret },
            )
          : await client.call<SourceView>('DELETE', sourcePath(name, `/secrets/${encodeURIComponent(drop)}`))
      const good = answer.secrets.map(({ id }) => id).join(' ')
      show(answer, () => `${madeText(answer, client.url)}\ngood     ${good || 'none'}`)
    },
  )
  remote(
    source.command('revoke').description('end a source at once').argument('<name>'),
    terminal,
    async ({ client, show }, [name = '']) => {
      const answer = await client.call<SourceView>('DELETE', sourcePath(name))
      show(answer, () => `revoked: ${name}`)
    },
  )
}
