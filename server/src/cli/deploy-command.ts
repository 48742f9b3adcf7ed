import { readFile } from 'node:fs/promises'
import {
  type DeploymentFinding,
  type DeploymentVerdict,
  formatDuration,
  type HandlerManifest,
  handlerManifestSchema,
} from '@switchback/migrations-registry'
import type { Command } from 'commander'
import type { JudgedVersion } from '../deployments/judge-version.ts'
import { RefusedError, UndecidedError, UsageError } from './client.ts'
import { type Remote, remote } from './remote.ts'
import { type Paint, plain, type Terminal } from './terminal.ts'

/** 0 yes, 1 no, 2 nobody knows. */
type DeployExit = 0 | 1 | 2
const EXIT_OF: Readonly<Record<DeploymentVerdict, DeployExit>> = { yes: 0, no: 1, unknown: 2 }

interface DeployOptions {
  readonly app?: string
  readonly version?: string
  readonly handlers?: string
}

/** `can-i-deploy`: asked by a pipeline before it rolls a version out, forward or back. */
export function addCanIDeploy(program: Command, terminal: Terminal, done: (code: DeployExit) => void): void {
  remote<DeployOptions>(
    program
      .command('can-i-deploy')
      .description('whether a version of an application may be rolled out now, forward or back')
      .option('--app <name>', 'as the SDK is told; default: that of the manifest')
      .option('--version <version>', 'as the SDK is told; default: that of the manifest')
      .option(
        '--handlers <file>',
        'manifest of the version, by describeHandlers() of the SDK; - for what is piped in. Default: what its instances have told',
      )
      .addHelpText('after', '\nExit codes: 0 yes, 1 no, 2 unknown, used wrongly, or no server there.'),
    terminal,
    async (on, _, options) => {
      const verdict = await canIDeploy(on, options)
      done(EXIT_OF[verdict])
    },
  )
}

async function canIDeploy(on: Remote, options: DeployOptions): Promise<DeploymentVerdict> {
  const manifest =
    options.handlers === undefined ? undefined : await readManifest(options.handlers, on.terminal)
  const app = options.app ?? manifest?.app
  const version = options.version ?? manifest?.version
  if (app === undefined || version === undefined) {
    throw new UsageError('say which: --app and --version, or a manifest that names both')
  }
  for (const [name, asked, told] of [
    ['app', options.app, manifest?.app],
    ['version', options.version, manifest?.version],
  ] as const) {
    if (asked === undefined || told === undefined || asked === told) continue
    throw new UsageError(`the manifest is of another ${name}: ${told} instead of ${asked}`)
  }
  try {
    const answer = await on.client.call<JudgedVersion>('POST', '/v1/can-i-deploy', {
      app,
      version,
      ...(manifest === undefined ? {} : { migrations: manifest.migrations }),
    })
    on.show(answer, () => deploymentText(answer, on.terminal.now(), on.paint))
    return answer.verdict
  } catch (error) {
    throw error instanceof RefusedError ? new UndecidedError(error.problem) : error
  }
}

async function readManifest(file: string, terminal: Terminal): Promise<HandlerManifest> {
  const name = file === '-' ? 'the input' : file
  let text: string
  try {
    text = file === '-' ? ((await terminal.input?.()) ?? '') : await readFile(file, 'utf8')
  } catch (error) {
    throw new UsageError(`${name} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${name} is not JSON: ${(error as Error).message}`)
  }
  const parsed = handlerManifestSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(
    ({ path, message }) => `  ${path.join('.') || 'all of it'}: ${message}`,
  )
  throw new UsageError([`${name} is not a manifest of handlers:`, ...problems].join('\n'))
}

function deploymentText(answer: JudgedVersion, now: number, paint: Paint): string {
  const { app, version, verdict, handlersFrom, lastSeen, migrations, findings } = answer
  const source = {
    request: 'by its manifest',
    registration: `by what its instances told ${formatDuration(now - (lastSeen ?? now))} ago`,
    nowhere: 'its handlers are unknown',
  }[handlersFrom]
  const mark = { yes: paint.green, no: paint.red, unknown: paint.yellow }
  const lines = [`${paint.bold(plain(`${app} ${version}`))}  ${mark[verdict](verdict)}  (${source})`]
  lines.push(...findings.flatMap((finding) => findingText(finding, paint)))
  for (const one of migrations) {
    const has =
      one.handlers === undefined ? 'nothing declared' : `has ${one.handlers.join(' and ') || 'none'}`
    const what = plain(`${one.id}  ${one.phase}, needs ${one.needs.join(' and ')}; ${has}`)
    lines.push(`${what}  ${mark[one.verdict](one.verdict)}`)
    lines.push(...one.findings.flatMap((finding) => findingText(finding, paint)))
  }
  if (migrations.length === 0 && findings.length === 0) lines.push('no migration has to do with it')
  return lines.join('\n')
}

const findingText = (
  { code, verdict, message, action }: DeploymentFinding,
  paint: Paint,
): readonly string[] => [
  `  ${(verdict === undefined ? paint.dim : paint.yellow)(code)}  ${plain(message)}`,
  `    what to do: ${plain(action)}`,
]
