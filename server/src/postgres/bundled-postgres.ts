import { createHash } from 'node:crypto'
import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { locateBinaries } from './binaries.ts'
import { ensureCluster, makeParent, readPassword } from './cluster.ts'
import { createHolders, type Holders } from './holders.ts'
import { chooseIdentity, giveTo, type Identity, idsOf, isRoot, type UserIds } from './identity.ts'
import { messageOf, PostgresError } from './postgres-error.ts'
import { ensurePostmaster } from './postmaster.ts'
import { findPostmaster } from './postmaster-file.ts'
import { waitForExit } from './process-table.ts'

export interface BundledPostgresOptions {
  /** Made if it is not there; nothing else may lie in it. */
  readonly dataDir: string
  /** Default: a free one, which may be another at each start. A server that runs already keeps its own. */
  readonly port?: number
  /** Told what a person may want to know: where the data lies, whether a running server was taken over. */
  readonly log?: (message: string) => void
  /** PostgreSQL settings over the defaults, which are durable. A server that runs already keeps its own. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** As whom PostgreSQL runs when we are root (it refuses root). Default: the folder's owner, or nobody. */
  readonly runAs?: UserIds
  /** Milliseconds, default 120,000: recovery after a crash takes as long as there is log to replay. */
  readonly timeoutMs?: number
}

export interface BundledPostgres {
  /** With user and password; a superuser, connected to the database `postgres`. */
  readonly url: string
  readonly port: number
  /** Where the data really lies. */
  readonly dataDir: string
  readonly pid: number
  /** Fast shutdown, unless another process still uses it. May be called again. */
  stop(): Promise<void>
}

const STOP_MS = 60_000

/**
 * Starts the PostgreSQL that comes with the package, or takes over the one that runs in the folder.
 *
 * PostgreSQL is no slave of the process that started it: when that is killed, it goes on, and the next
 * start finds it with its data and its connections whole. Several processes may use one folder at the
 * same time; the last to stop shuts it down.
 *
 * @throws PostgresError whose message says what to do
 */
export async function startBundledPostgres(options: BundledPostgresOptions): Promise<BundledPostgres> {
  const log = options.log ?? (() => undefined)
  try {
    const { dataDir, identity } = place(resolve(options.dataDir), options.runAs, log)
    const binaries = locateBinaries(identity)
    const settings = options.settings ?? {}
    ensureCluster({
      dataDir,
      binaries,
      identity,
      durable: settings.fsync !== 'off' && settings.fsync !== false,
    })
    const password = readPassword(dataDir)
    // Registered before looking for a server: one that is about to stop sees us, or we see it gone.
    const holders = createHolders(dataDir)
    const use = holders.join()
    try {
      if (!findPostmaster(dataDir)) giveTo(dataDir, idsOf(identity))
      const timeoutMs = options.timeoutMs ?? 120_000
      const running = await ensurePostmaster({
        dataDir,
        binaries,
        identity,
        password,
        port: options.port,
        settings,
        timeoutMs,
      })
      log(
        `PostgreSQL ${binaries.version} ${running.startedHere ? 'started' : 'was running already'} in ${dataDir}, port ${running.port}`,
      )
      let stopped: Promise<void> | undefined
      const stop = (): Promise<void> => {
        stopped ??= stopPostmaster(dataDir, holders, use)
        return stopped
      }
      return { url: running.url, port: running.port, dataDir, pid: running.pid, stop }
    } catch (error) {
      use.leave()
      throw error
    }
  } catch (error) {
    if (error instanceof PostgresError) throw error
    throw new PostgresError(
      'postgres-data-folder',
      `the bundled PostgreSQL cannot use ${options.dataDir}: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

/** Decides where the data lies and as whom PostgreSQL runs. */
function place(
  wanted: string,
  runAs: UserIds | undefined,
  log: (message: string) => void,
): { dataDir: string; identity: Identity } {
  makeParent(wanted)
  const dataDir = existsSync(wanted)
    ? realpathSync(wanted)
    : join(realpathSync(dirname(wanted)), basename(wanted))
  if (runAs) return { dataDir, identity: { kind: 'user', ids: runAs } }
  // A store that had to be put elsewhere once stays there, whatever would be possible today.
  const elsewhere = join(
    '/var/lib/switchback',
    createHash('sha256').update(dataDir).digest('hex').slice(0, 16),
  )
  const moved = isRoot() && existsSync(join(elsewhere, 'PG_VERSION'))
  const identity = moved ? undefined : chooseIdentity(dataDir)
  if (identity) return { dataDir, identity }
  // Nobody but root gets there, PostgreSQL refuses root, and user namespaces are off.
  log(
    `${dataDir} can be entered by root alone and PostgreSQL refuses to run as root: the data lies in ${elsewhere}`,
  )
  makeParent(elsewhere)
  const other = chooseIdentity(elsewhere)
  if (other) return { dataDir: elsewhere, identity: other }
  throw new PostgresError(
    'postgres-data-folder',
    `PostgreSQL does not run as root, and no other user can enter ${dataDir} or ${elsewhere}`,
  )
}

async function stopPostmaster(dataDir: string, holders: Holders, use: { leave(): void }): Promise<void> {
  use.leave()
  const postmaster = findPostmaster(dataDir)
  // From the look at the others to the signal nothing is awaited: nobody can join in between and connect.
  if (!postmaster || holders.any()) return
  process.kill(postmaster.pid, 'SIGINT')
  if (await waitForExit(postmaster.pid, STOP_MS)) return
  throw new PostgresError(
    'postgres-stop-failed',
    `PostgreSQL (pid ${postmaster.pid}) in ${dataDir} did not stop within ${STOP_MS} ms`,
  )
}
