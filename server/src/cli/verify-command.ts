import type { Command } from 'commander'
import { RefusedError } from './client.ts'
import { follow, POLL_MS } from './follow.ts'
import { migrationPath, type Remote, remote } from './remote.ts'
import type { Terminal } from './terminal.ts'
import type { MigrationView } from './views.ts'

/** `verify`: every row of both paths compared once more, now. */
export function addVerify(program: Command, terminal: Terminal): void {
  remote<{ wait: boolean }>(
    program
      .command('verify')
      .description('compare every row of both paths now; in shadow and ramp. Waits for the result')
      .argument('<id>')
      .option('--no-wait', 'only ask for it')
      .addHelpText(
        'after',
        '\nExit codes: 0 equal (what differed was repaired), 1 keys still differ, refused or failed, 2 used wrongly or no server there.',
      ),
    terminal,
    verify,
  )
}

async function verify(
  on: Remote,
  [id = '']: readonly string[],
  { wait }: { readonly wait: boolean },
): Promise<void> {
  const { client, terminal } = on
  const asked = await client.call<MigrationView>('POST', migrationPath(id, '/verify'), {})
  if (!wait) {
    on.show(asked, () => `${id}: verification asked for; switchback status ${id}`)
    return
  }
  const options = { client, terminal, quiet: on.json, pollMs: POLL_MS }
  const result = await follow(options, { kind: 'none' }, asked, asked)
  const { work } = result.view.state
  const mine = work?.kind === 'verify' && work.epoch === asked.state.work?.epoch
  if (result.arrived && mine) {
    const { rows = 0, differing = 0 } = work.compared ?? {}
    const found = differing === 0 ? 'all equal' : `${differing} differed and were repaired`
    on.show(result.view, () => `${id}: ${rows} rows compared, ${found}`)
    return
  }
  throw new RefusedError({
    title: 'The verification did not end well',
    status: 409,
    code: 'not-completed',
    detail: result.arrived ? 'It was called off: the migration has moved on.' : result.why,
    action: `switchback status ${id}`,
  })
}
