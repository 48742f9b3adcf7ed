import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Binaries } from './binaries.ts'
import { childEnvironment, SUPERUSER } from './cluster.ts'
import { freePort } from './free-port.ts'
import { commandFor, type Identity } from './identity.ts'
import { messageOf, PostgresError } from './postgres-error.ts'
import { disownStalePostmasterFile, findPostmaster, type Postmaster, staysEmpty } from './postmaster-file.ts'
import { openServerLog } from './server-log.ts'

export interface PostmasterOptions {
  readonly dataDir: string
  readonly binaries: Binaries
  readonly identity: Identity
  readonly password: string
  readonly port: number | undefined
  readonly settings: Readonly<Record<string, string | number | boolean>>
  /** Milliseconds; recovery after a crash counts, and takes as long as there is log to replay. */
  readonly timeoutMs: number
}

export interface RunningPostmaster {
  readonly pid: number
  readonly port: number
  readonly url: string
  /** False when it ran already. */
  readonly startedHere: boolean
}

/**
 * Finds the live postmaster of the folder or starts one, and returns when it answers. Others may do the
 * same or stop it meanwhile: PostgreSQL lets one postmaster into a folder, whoever loses looks again.
 */
export async function ensurePostmaster(options: PostmasterOptions): Promise<RunningPostmaster> {
  const deadline = performance.now() + options.timeoutMs
  let last = 'it did not answer'
  while (performance.now() < deadline) {
    const found = findPostmaster(options.dataDir)
    if (!found) {
      const started = await startPostmaster(options, deadline)
      if (started) return started
    } else if (found.port !== undefined) {
      const url = urlFor(found.port, options.password)
      const answer = await ask(url, options.dataDir)
      if (answer === 'ready') return { pid: found.pid, port: found.port, url, startedHere: false }
      last = answer
    }
    await pause(25)
  }
  throw new PostgresError(
    'postgres-start-failed',
    `the PostgreSQL in ${options.dataDir} is not usable after ${options.timeoutMs} ms: ${last}`,
    {
      retryable: true,
    },
  )
}

/** Undefined when the start should be tried again: another was first, or the port was taken meanwhile. */
async function startPostmaster(
  options: PostmasterOptions,
  deadline: number,
): Promise<RunningPostmaster | undefined> {
  const { dataDir, password } = options
  const port = await freePort(options.port)
  if (port === undefined)
    throw new PostgresError('postgres-port-in-use', `port ${options.port ?? '(any)'} of 127.0.0.1 is in use`)
  disownStalePostmasterFile(dataDir)
  const log = openServerLog(dataDir)
  const child = launch(options, port, log.fd)
  log.close()
  const url = urlFor(port, password)
  let failure: string | undefined
  child.once('error', (error) => {
    failure = messageOf(error)
  })
  let answer = 'it did not answer'
  while (performance.now() < deadline) {
    if (failure !== undefined || child.exitCode !== null || child.signalCode !== null) {
      const said = failure ?? log.tail(12)
      if (/lock file "postmaster\.pid" already exists/.test(said)) return undefined
      if (/lock file "postmaster\.pid" is empty/.test(said)) {
        if (!(await staysEmpty(dataDir))) return undefined
        throw new PostgresError(
          'postgres-start-failed',
          `${dataDir}/postmaster.pid is empty: what is left of a start that was cut off. Make sure that no PostgreSQL runs in this folder, remove the file, and start again.`,
        )
      }
      if (options.port === undefined && /could not bind IPv4 address/.test(said)) return undefined
      throw new PostgresError('postgres-start-failed', `PostgreSQL did not start in ${dataDir}:\n${said}`)
    }
    const own = ownPostmaster(dataDir, child)
    if (own) {
      answer = await ask(url, dataDir)
      if (answer === 'ready') return { pid: own.pid, port, url, startedHere: true }
    }
    await pause(10)
  }
  if (child.pid !== undefined) process.kill(child.pid, 'SIGQUIT')
  throw new PostgresError(
    'postgres-start-failed',
    `PostgreSQL did not get ready in time: ${answer}; its log is ${log.file}`,
    { retryable: true },
  )
}

function ownPostmaster(dataDir: string, child: ChildProcess): Postmaster | undefined {
  const found = findPostmaster(dataDir)
  return found?.pid === child.pid && found?.port !== undefined ? found : undefined
}

function launch(
  { dataDir, binaries, identity, settings }: PostmasterOptions,
  port: number,
  log: number,
): ChildProcess {
  // Only loopback and only TCP: socket files have a limit of 107 characters and would lie about in /tmp.
  const fixed = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    logging_collector: false,
    log_timezone: 'UTC',
    timezone: 'UTC',
  }
  const args = ['-D', dataDir, '-p', String(port)]
  for (const [name, value] of Object.entries({ ...fixed, ...settings })) args.push('-c', `${name}=${value}`)
  const command = commandFor(identity, binaries.postgres, args)
  const child = spawn(command.file, command.args, {
    ...command.ids,
    cwd: dataDir,
    env: childEnvironment(),
    // A session of its own: Ctrl-C in a terminal reaches us alone, and we end it when its users have finished.
    detached: true,
    stdio: ['ignore', log, log],
  })
  child.unref()
  return child
}

function urlFor(port: number, password: string): string {
  return `postgres://${SUPERUSER}:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`
}

/**
 * 'ready', or why not. SCRAM proves both sides: a stranger on the port cannot know the password; the
 * folder is asked for since a copy of a data folder has the same one.
 */
async function ask(url: string, dataDir: string): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ folder: string }>(
      "select current_setting('data_directory') as folder",
    )
    return rows[0]?.folder === dataDir
      ? 'ready'
      : `the server on this port works in ${rows[0]?.folder ?? 'another folder'}`
  } catch (error) {
    return messageOf(error)
  } finally {
    await client.end().catch(() => undefined)
  }
}
