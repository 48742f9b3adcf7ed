import { formatDuration } from '@switchback/migrations-registry'
import type { Command } from 'commander'
import type { Client } from './client.ts'
import { remote, withQuery } from './remote.ts'
import { millis, type Paint, type Terminal, table } from './terminal.ts'
import type { InstancesView, InstanceView } from './views.ts'

const PAGE = 500

/** Every page of the list. */
async function allInstances(
  client: Client,
  filter: { readonly app?: string; readonly migration?: string },
): Promise<readonly InstanceView[]> {
  const all: InstanceView[] = []
  let after: string | undefined
  for (;;) {
    const path = withQuery('/v1/instances', { ...filter, limit: PAGE, after })
    const { instances, next } = await client.call<InstancesView>('GET', path)
    all.push(...instances)
    if (next === undefined) return all
    after = next
  }
}

const positionsText = ({ migrations }: InstanceView): string =>
  Object.entries(migrations)
    .map(([id, { applied, drained, handlers, oldest }]) => {
      const stuck = oldest === undefined ? '' : ` (${oldest.kind} for ${formatDuration(oldest.ageMs)})`
      const at = applied === drained ? `${applied}` : `${applied}, drained ${drained}`
      return `${id} ${at}${stuck} [${handlers.join(' ') || 'no handlers'}]`
    })
    .join('; ')

function instancesText(instances: readonly InstanceView[], now: number, paint: Paint): string {
  if (instances.length === 0) return 'No instances.'
  return table(
    ['id', 'app', 'version', 'server', 'last seen', 'lease', 'epochs'],
    instances.map((instance) => {
      const left = millis(instance.leaseUntil) - now
      return [
        instance.id,
        instance.app,
        instance.version,
        instance.server,
        `${formatDuration(now - millis(instance.lastSeen))} ago`,
        instance.live ? `${formatDuration(left)} left` : `ended ${formatDuration(-left)} ago`,
        positionsText(instance),
      ]
    }),
    paint,
  )
}

/** Adds the commands about instances. */
export function addFleetCommands(program: Command, terminal: Terminal): void {
  const instances = program.command('instances').description('list instances, or forget one that is gone')
  remote<{ app?: string; migration?: string }>(
    instances
      .command('list', { isDefault: true })
      .description('all instances with their epochs and leases')
      .option('--app <name>')
      .option('--migration <id>'),
    terminal,
    async ({ client, show, paint }, _, { app, migration }) => {
      const found = await allInstances(client, {
        ...(app === undefined ? {} : { app }),
        ...(migration === undefined ? {} : { migration }),
      })
      show({ instances: found }, () => instancesText(found, terminal.now(), paint))
    },
  )
  remote<{ reason: string }>(
    instances
      .command('forget')
      .description('take an instance off the books; only once it is certain that it is gone')
      .argument('<id>')
      .requiredOption('--reason <text>'),
    terminal,
    async ({ client, show }, [id = ''], { reason }) => {
      const answer = await client.call('DELETE', `/v1/instances/${encodeURIComponent(id)}`, { reason })
      show(answer ?? { forgotten: id }, () => `forgotten: ${id}`)
    },
  )
}
