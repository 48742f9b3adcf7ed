import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Binaries } from './binaries.ts'
import { commandFor, type Identity, idsOf } from './identity.ts'
import { messageOf, PostgresError, systemCode } from './postgres-error.ts'
import { isRunning } from './process-table.ts'

/** The only role of the bundled cluster. */
export const SUPERUSER = 'postgres'

const PASSWORD_FILE = 'switchback.password'
const CHILD_ENV = { LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin' }

export interface ClusterOptions {
  readonly dataDir: string
  readonly binaries: Binaries
  readonly identity: Identity
  /** False for throwaway clusters: initdb then does not wait for the disk. */
  readonly durable: boolean
}

/** The environment of PostgreSQL's processes: nothing of ours leaks in, no PG* variable disturbs. */
export function childEnvironment(): Record<string, string> {
  return { ...CHILD_ENV }
}

export function readPassword(dataDir: string): string {
  try {
    return readFileSync(join(dataDir, PASSWORD_FILE), 'utf8').trim()
  } catch (cause) {
    throw new PostgresError(
      'postgres-data-folder',
      `${dataDir} is a PostgreSQL data folder that Switchback did not make`,
      { cause },
    )
  }
}

/**
 * Makes the cluster if it is not there yet. initdb works in a folder beside it that gets its name when
 * complete: a start that is killed leaves nothing half made, and of several at once one wins.
 */
export function ensureCluster(options: ClusterOptions): void {
  const { dataDir } = options
  if (isCluster(options)) return
  sweepUnfinished(dataDir)
  const draft = mkdtempSync(`${dataDir}.init-${process.pid}-`)
  try {
    initialise(draft, options)
    renameSync(draft, dataDir)
  } catch (error) {
    const taken = systemCode(error) === 'ENOTEMPTY' || systemCode(error) === 'EEXIST'
    if (!taken || !isCluster(options)) throw error
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

function isCluster({ dataDir, binaries }: ClusterOptions): boolean {
  const file = join(dataDir, 'PG_VERSION')
  if (!existsSync(file)) {
    if (!existsSync(dataDir) || readdirSync(dataDir).length === 0) return false
    throw new PostgresError(
      'postgres-data-folder',
      `${dataDir} holds other files; a new or empty folder is needed`,
    )
  }
  const major = readFileSync(file, 'utf8').trim()
  const ours = binaries.version.split('.')[0]
  if (major === ours) return true
  throw new PostgresError(
    'postgres-data-folder',
    `${dataDir} was made by PostgreSQL ${major}, and PostgreSQL ${ours} is bundled: ` +
      `dump it with a PostgreSQL ${major} and load it into a new folder, or set DATABASE_URL`,
  )
}

function initialise(draft: string, { binaries, identity, durable }: ClusterOptions): void {
  const password = `${draft}.password`
  writeFileSync(password, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 })
  try {
    const owner = idsOf(identity)
    if (owner) for (const path of [draft, password]) chownSync(path, owner.uid, owner.gid)
    const args = [
      '-D',
      draft,
      '-U',
      SUPERUSER,
      '-A',
      'scram-sha-256',
      `--pwfile=${password}`,
      '--encoding=UTF8',
      '--locale=C',
    ]
    // The builtin provider sorts by code point, the same on every machine and after every upgrade of its C library.
    args.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions')
    if (!durable) args.push('--no-sync')
    const command = commandFor(identity, binaries.initdb, args)
    const made = spawnSync(command.file, command.args, {
      ...command.ids,
      cwd: draft,
      env: childEnvironment(),
      encoding: 'utf8',
    })
    if (made.status !== 0) {
      const said = made.error
        ? messageOf(made.error)
        : `${made.stdout}${made.stderr}`.trim().split('\n').slice(-8).join('\n')
      throw new PostgresError('postgres-start-failed', `initdb could not make a database cluster:\n${said}`)
    }
    renameSync(password, join(draft, PASSWORD_FILE))
  } finally {
    rmSync(password, { force: true })
  }
}

/** Removes what starts that were killed during initdb have left beside the folder. */
function sweepUnfinished(dataDir: string): void {
  const prefix = `${basename(dataDir)}.init-`
  for (const name of readdirSync(dirname(dataDir))) {
    const pid = Number(name.slice(prefix.length).split('-')[0])
    if (!name.startsWith(prefix) || isRunning(pid)) continue
    rmSync(join(dirname(dataDir), name), { recursive: true, force: true })
  }
}

/** Makes the folder above the data folder, passable for another user whatever our umask is. */
export function makeParent(dataDir: string): void {
  const made = mkdirSync(dirname(dataDir), { recursive: true })
  if (!made) return
  for (let folder = dirname(dataDir); folder.startsWith(made); folder = dirname(folder))
    chmodSync(folder, 0o755)
}
