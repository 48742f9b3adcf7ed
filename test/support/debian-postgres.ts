import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { debianProgram } from './debian-packages.ts'
import { freePort } from './free-port.ts'
import { waitFor } from './wait-for.ts'
import { watchdog } from './watchdog.ts'

export interface DebianPostgres {
  readonly url: string
  stop(): Promise<void>
}

// PostgreSQL refuses root; nobody owns nothing else.
const NOBODY = 65_534
const BIN = 'usr/lib/postgresql/15/bin'

/** Debian's PostgreSQL 15, installed or unpacked; undefined where it cannot be had, with the reason on stderr. */
export async function debianPostgres(): Promise<DebianPostgres | undefined> {
  const found = existsSync(join('/', BIN, 'postgres')) ? { root: '/', env: {} } : await unpacked()
  if (found === undefined) return undefined
  const { root, env } = found
  const folder = mkdtempSync(join(tmpdir(), 'switchback-debian-'))
  watchdog().remove(folder)
  const asRoot = process.getuid?.() === 0
  const ids = asRoot ? { uid: NOBODY, gid: NOBODY } : {}
  chmodSync(folder, 0o755)
  if (asRoot) chownSync(folder, NOBODY, NOBODY)
  const data = join(folder, 'data')
  const options = { ...ids, cwd: folder, env: { LC_ALL: 'C', PATH: '/usr/bin:/bin', ...env } }
  const share = join(root, 'usr/share/postgresql/15')
  const made = spawnSync(
    join(root, BIN, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '-L', share],
    { ...options, encoding: 'utf8' },
  )
  if (made.status !== 0) {
    process.stderr.write(`PostgreSQL 15 of Debian makes no cluster: ${made.stderr}\n`)
    rmSync(folder, { recursive: true, force: true })
    return undefined
  }
  const port = await freePort()
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    jit: 'off',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = spawn(join(root, BIN, 'postgres'), ['-D', data, ...args], { ...options, stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  if (server.pid !== undefined) watchdog().end(server.pid, 'SIGQUIT')
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  await waitFor(() => answers(url), { what: 'PostgreSQL 15 to answer' })
  return {
    url,
    stop: async () => {
      server.kill('SIGINT')
      await ended
      if (server.pid !== undefined) watchdog().forget(server.pid)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}

async function unpacked(): Promise<{ root: string; env: Readonly<Record<string, string>> } | undefined> {
  try {
    const path = `${BIN}/postgres`
    const { file, env } = await debianProgram({
      name: 'postgres-15',
      path,
      packages: [
        ...['postgresql-15', 'libpq5', 'libicu72', 'libxml2', 'libssl3', 'libgssapi-krb5-2', 'libkrb5-3'],
        ...[
          'libk5crypto3',
          'libkrb5support0',
          'libkeyutils1',
          'libldap-2.5-0',
          'libsasl2-2',
          'liblz4-1',
          'libzstd1',
        ],
      ],
    })
    return { root: file.slice(0, -path.length), env }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(
      `\n!!! SKIPPED: no PostgreSQL 15 here, and Debian's cannot be fetched.\n!!! ${reason}\n\n`,
    )
    return undefined
  }
}
