import { type Command, Option } from 'commander'
import { remote } from './remote.ts'
import { clockTime, type Terminal, table } from './terminal.ts'
import type { TokenView } from './views.ts'

const ROLES = ['viewer', 'operator', 'approver', 'admin', 'sdk', 'alert']

function stateOf({ revokedAt, expiresAt }: TokenView): string {
  if (revokedAt !== undefined && revokedAt !== null) return `revoked ${clockTime(revokedAt)}`
  return expiresAt === undefined || expiresAt === null ? 'good' : `until ${clockTime(expiresAt)}`
}

/** Adds the commands about tokens. */
export function addTokenCommands(program: Command, terminal: Terminal): void {
  const token = program.command('token').description('create, list and revoke tokens')
  remote<{ name: string; role: string; migration?: string[] }>(
    token
      .command('create')
      .description('make a token; it is shown this once')
      .requiredOption('--name <name>', 'who or what it is for')
      .addOption(new Option('--role <role>').choices(ROLES).makeOptionMandatory())
      .option('--migration <id...>', 'for these migrations only'),
    terminal,
    async ({ client, show }, _, { name, role, migration }) => {
      const answer = await client.call<{ readonly token: string }>('POST', '/v1/tokens', {
        name,
        role,
        ...(migration === undefined ? {} : { migrations: migration }),
      })
      show(answer, () => answer.token)
    },
  )
  remote(token.command('list').description('all tokens'), terminal, async ({ client, show, paint }) => {
    const answer = await client.call<{ readonly tokens: readonly TokenView[] }>('GET', '/v1/tokens')
    show(answer, () =>
      table(
        ['id', 'name', 'role', 'state', 'last used'],
        answer.tokens.map((each) => [
          each.id,
          each.name,
          each.role,
          stateOf(each),
          each.lastUsedAt === undefined || each.lastUsedAt === null ? 'never' : clockTime(each.lastUsedAt),
        ]),
        paint,
      ),
    )
  })
  remote(
    token.command('revoke').description('end a token at once').argument('<id>'),
    terminal,
    async ({ client, show }, [id = '']) => {
      const answer = await client.call('DELETE', `/v1/tokens/${encodeURIComponent(id)}`)
      show(answer ?? { revoked: id }, () => `revoked: ${id}`)
    },
  )
}
