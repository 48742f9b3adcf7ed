import { type Command, Option } from 'commander'
import { CHANNEL_KINDS } from '../notifications/channel-store.ts'
import { NOTICE_KINDS } from '../notifications/notice.ts'
import { parseCount, remote, withQuery } from './remote.ts'
import { clockTime, type Paint, type Terminal, table } from './terminal.ts'
import type { ChannelView, NotificationView } from './views.ts'

const channelsTable = (channels: readonly ChannelView[], paint: Paint): string =>
  channels.length === 0
    ? 'No channels: nobody is told of anything.'
    : table(
        ['name', 'kind', 'to', 'events', 'migrations'],
        channels.map(({ name, kind, settings, events, migrations }) => [
          name,
          kind,
          settings.to?.join(' ') ?? settings.url ?? '',
          events?.join(' ') ?? 'all',
          migrations?.join(' ') ?? 'all',
        ]),
        paint,
      )

const notificationsTable = (notifications: readonly NotificationView[], paint: Paint): string =>
  notifications.length === 0
    ? 'Nobody was told of anything.'
    : table(
        ['id', 'at', 'channel', 'what', 'status', ''],
        notifications.map(({ id, createdAt, channel, recipient, notice, status, attempts, error }) => [
          id,
          clockTime(createdAt),
          recipient ?? channel,
          notice.title,
          attempts > 1 ? `${status} (${attempts} attempts)` : status,
          error ?? '',
        ]),
        paint,
      )

interface ChannelOptions {
  readonly kind: string
  readonly to?: string
  readonly key?: string
  readonly from?: string
  readonly mail?: string[]
  readonly event?: string[]
  readonly migration?: string[]
}

/** Adds the commands about who is told; answers with the group of those about one incident. */
export function addNotifyCommands(program: Command, terminal: Terminal): Command {
  const channel = program.command('channel').description('where notices go')
  const pathOf = (name: string, rest = ''): string => `/v1/channels/${encodeURIComponent(name)}${rest}`
  remote<ChannelOptions>(
    channel
      .command('create')
      .description('make a channel; its address and key are not shown again')
      .argument('<name>', 'contacts of definitions name it, such as "#riders-oncall"')
      .addOption(new Option('--kind <kind>').choices(CHANNEL_KINDS).makeOptionMandatory())
      .option('--to <url>', 'address: of the chat, of the webhook, of the mail server (smtps://…)')
      .option('--key <key>', 'routing key of PagerDuty; secret of a webhook, made where not given')
      .option('--from <address>', 'e-mail: sender')
      .option('--mail <address...>', 'e-mail: recipients')
      .addOption(new Option('--event <kind...>', 'only these kinds').choices(NOTICE_KINDS))
      .option('--migration <id...>', 'only about these'),
    terminal,
    async ({ client, show }, [name = ''], { kind, to, key, from, mail, event, migration }) => {
      const answer = await client.call<ChannelView & { readonly key?: string }>('POST', '/v1/channels', {
        name,
        kind,
        ...(to === undefined ? {} : { url: to }),
        ...(key === undefined ? {} : { key }),
        ...(from === undefined ? {} : { from }),
        ...(mail === undefined ? {} : { to: mail }),
        ...(event === undefined ? {} : { events: event }),
        ...(migration === undefined ? {} : { migrations: migration }),
      })
      const made = answer.key === undefined ? '' : `\nsecret ${answer.key}  (shown this once)`
      show(answer, () => `made: ${name}${made}`)
    },
  )
  remote(channel.command('list').description('all channels'), terminal, async ({ client, show, paint }) => {
    const answer = await client.call<{ readonly channels: readonly ChannelView[] }>('GET', '/v1/channels')
    show(answer, () => channelsTable(answer.channels, paint))
  })
  remote(
    channel.command('test').description('send a test at once').argument('<name>'),
    terminal,
    async ({ client, show }, [name = '']) => {
      const answer = await client.call<{ readonly sent: boolean; readonly error?: string }>(
        'POST',
        pathOf(name, '/test'),
        {},
      )
      show(answer, () => (answer.sent ? 'sent' : `not sent: ${answer.error ?? 'unknown error'}`))
    },
  )
  remote(
    channel.command('remove').description('remove a channel').argument('<name>'),
    terminal,
    async ({ client, show }, [name = '']) => {
      const answer = await client.call('DELETE', pathOf(name))
      show(answer ?? { removed: name }, () => `removed: ${name}`)
    },
  )

  const notifications = program.command('notifications').description('what was told to whom')
  remote<{ failed?: boolean; incident?: string; limit?: number }>(
    notifications
      .option('--failed', 'only such as were given up')
      .option('--incident <id>')
      .option('--limit <n>', 'at most so many', parseCount),
    terminal,
    async ({ client, show, paint }, _, { failed, incident, limit }) => {
      const status = failed === true ? 'failed' : undefined
      const path = withQuery('/v1/notifications', { status, incident, limit })
      const answer = await client.call<{ readonly notifications: readonly NotificationView[] }>('GET', path)
      show(answer, () => notificationsTable(answer.notifications, paint))
    },
  )
  remote(
    notifications.command('retry').description('send one again that was given up').argument('<id>'),
    terminal,
    async ({ client, show }, [id = '']) => {
      const answer = await client.call('POST', `/v1/notifications/${encodeURIComponent(id)}/retry`, {})
      show(answer ?? { retried: id }, () => `waits to be sent: ${id}`)
    },
  )

  const incident = program.command('incident').description('see to an incident')
  remote(
    incident.command('ack').description('say that you see to it: nobody further is called').argument('<id>'),
    terminal,
    async ({ client, show }, [id = '']) => {
      const answer = await client.call<{ readonly ackedBy?: string }>(
        'POST',
        `/v1/incidents/${encodeURIComponent(id)}/ack`,
        {},
      )
      show(answer, () => `taken up by ${answer.ackedBy ?? 'you'}: ${id}`)
    },
  )
  return incident
}
