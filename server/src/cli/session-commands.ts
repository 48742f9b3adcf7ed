import type { Command } from 'commander'
import { remote } from './remote.ts'
import { clockTime, type Terminal, table } from './terminal.ts'

interface SessionView {
  readonly id: string
  readonly name: string
  readonly role: string
  readonly startedAt: number
  readonly usedAt: number
  readonly expiresAt: number
}

/** Adds the commands about people who are signed in by single sign-on. */
export function addSessionCommands(program: Command, terminal: Terminal): void {
  const session = program.command('session').description('list and end sessions of single sign-on')
  remote(
    session.command('list').description('who is signed in now'),
    terminal,
    async ({ client, show, paint }) => {
      const answer = await client.call<{ readonly sessions: readonly SessionView[] }>('GET', '/v1/sessions')
      show(answer, () =>
        answer.sessions.length === 0
          ? 'nobody is signed in by single sign-on'
          : table(
              ['id', 'name', 'role', 'since', 'last used', 'until'],
              answer.sessions.map(({ id, name, role, startedAt, usedAt, expiresAt }) => [
                id,
                name,
                role,
                clockTime(startedAt),
                clockTime(usedAt),
                clockTime(expiresAt),
              ]),
              paint,
            ),
      )
    },
  )
  remote(
    session.command('end').description('end a session at once').argument('<id>'),
    terminal,
    async ({ client, show }, [id = '']) => {
      const answer = await client.call('DELETE', `/v1/sessions/${encodeURIComponent(id)}`)
      show(answer ?? { ended: id }, () => `ended: ${id}`)
    },
  )
}
