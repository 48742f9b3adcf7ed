import type { Command } from 'commander'
import { UsageError } from './client.ts'
import { migrationPath, remote } from './remote.ts'
import { type Paint, plain, type Terminal } from './terminal.ts'

interface DriftView {
  readonly databases: readonly {
    readonly known: boolean
    readonly fingerprint: string
    readonly differences: readonly { readonly message: string }[]
  }[]
}

/** `drift`: what was changed in a target by hand. */
export function addDrift(program: Command, terminal: Terminal, done: (code: 0 | 1) => void): void {
  remote<{ accept?: boolean; reason?: string }>(
    program
      .command('drift')
      .description(
        "compare the catalog of a migration's target with what the migrations say; 1 where it differs",
      )
      .argument('<id>')
      .option('--accept', 'take the schema as it is for what it should be; needs --reason')
      .option('--reason <text>'),
    terminal,
    async ({ client, show, paint }, [id = ''], { accept = false, reason }) => {
      if (accept && reason === undefined) throw new UsageError('--accept needs --reason')
      const drift = accept
        ? await client.call<DriftView>('POST', migrationPath(id, '/drift/accept'), { reason })
        : await client.call<DriftView>('GET', migrationPath(id, '/drift'))
      show(drift, () => drift.databases.map((database) => driftText(database, paint)).join('\n'))
      done(drift.databases.every(({ differences }) => differences.length === 0) ? 0 : 1)
    },
  )
}

function driftText(
  { known, fingerprint, differences }: DriftView['databases'][number],
  paint: Paint,
): string {
  if (!known) return 'nothing to compare with: no migration has run here yet'
  if (differences.length === 0) return paint.green(`as the migrations say (${fingerprint.slice(0, 12)})`)
  return [
    paint.yellow(
      `${differences.length} ${differences.length === 1 ? 'difference' : 'differences'} from what the migrations say:`,
    ),
    ...differences.map(({ message }) => `  ${plain(message)}`),
  ].join('\n')
}
