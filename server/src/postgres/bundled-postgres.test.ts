import { spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, spawnNode, waitFor, watchdog } from '@switchback/test/support'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type BundledPostgres, startBundledPostgres } from './bundled-postgres.ts'
import { readPostmasterFile } from './postmaster-file.ts'
import { isRunning } from './process-table.ts'

const quick = { fsync: 'off', max_connections: 20, shared_buffers: '16MB' }
const built = new URL('../../dist/postgres/bundled-postgres.js', import.meta.url).href
let folder: string
let started: BundledPostgres[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchback-launcher-'))
  chmodSync(folder, 0o755)
  started = []
  watchdog().remove(folder)
})

afterEach(async () => {
  for (const postgres of started) {
    await postgres.stop()
    watchdog().forget(postgres.pid)
  }
  rmSync(folder, { recursive: true, force: true })
})

async function start(dataDir = join(folder, 'pg'), port?: number): Promise<BundledPostgres> {
  const postgres = await startBundledPostgres({
    dataDir,
    settings: quick,
    ...(port === undefined ? {} : { port }),
  })
  started.push(postgres)
  watchdog().end(postgres.pid, 'SIGQUIT')
  return postgres
}

async function query<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<T>(sql)).rows
  } finally {
    await client.end()
  }
}

/** A process of its own that starts PostgreSQL in `dataDir`, says so, and stays until it is killed. */
function otherProcess(dataDir: string): ReturnType<typeof spawnNode> {
  const program = `
    const { startBundledPostgres } = await import(${JSON.stringify(built)})
    const postgres = await startBundledPostgres({ dataDir: ${JSON.stringify(dataDir)}, settings: ${JSON.stringify(quick)} })
    process.on('SIGTERM', () => postgres.stop().then(() => process.exit(0)))
    console.log('up', postgres.pid, postgres.port)
    setInterval(() => {}, 1000)`
  return spawnNode(['--input-type=module', '-e', program])
}

test('a new folder becomes a UTF-8 cluster that answers on loopback alone', async () => {
  const postgres = await start(join(folder, 'a', 'deep', 'folder'))
  const [row] = await query<Record<string, string>>(
    postgres.url,
    `select current_setting('server_encoding') as encoding, current_setting('listen_addresses') as addresses,
       current_setting('unix_socket_directories') as sockets, current_setting('password_encryption') as passwords`,
  )
  expect(row).toEqual({ encoding: 'UTF8', addresses: '127.0.0.1', sockets: '', passwords: 'scram-sha-256' })
})

test('the password guards it, and only its owner reads the file', async () => {
  const postgres = await start()
  const wrong = postgres.url.replace(/:[^:@]*@/, ':wrong@')
  await expect(query(wrong, 'select 1')).rejects.toMatchObject({ code: '28P01' })
  expect(statSync(join(postgres.dataDir, 'switchback.password')).mode & 0o777).toBe(0o600)
})

test('a durable cluster is the default', async () => {
  const postgres = await startBundledPostgres({ dataDir: join(folder, 'pg') })
  started.push(postgres)
  expect(await query(postgres.url, "select current_setting('fsync') as fsync")).toEqual([{ fsync: 'on' }])
})

test('data survives stop and start, and stop leaves no process', async () => {
  const first = await start()
  await query(first.url, 'create table kept as select 42 as answer')
  await first.stop()
  expect(isRunning(first.pid)).toBe(false)
  const second = await start()
  expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
})

test('after kill -9 of its parent it goes on, and the next start takes it over with its connections', async () => {
  const dataDir = join(folder, 'pg')
  const parent = otherProcess(dataDir)
  const [, pid, port] = await parent.sees(/up (\d+) (\d+)/)
  await parent.kill('SIGKILL')
  const adopted = await start(dataDir)
  expect([adopted.pid, adopted.port]).toEqual([Number(pid), Number(port)])
  await adopted.stop()
  expect(isRunning(adopted.pid)).toBe(false)
})

test('two processes share one folder, and the last to stop shuts it down', async () => {
  const dataDir = join(folder, 'pg')
  const mine = await start(dataDir)
  const other = otherProcess(dataDir)
  const [, pid] = await other.sees(/up (\d+) (\d+)/)
  expect(Number(pid)).toBe(mine.pid)
  await mine.stop()
  expect(isRunning(mine.pid)).toBe(true)
  await other.kill('SIGTERM')
  expect(isRunning(mine.pid)).toBe(false)
})

test('several that start at the same moment end up with one server', async () => {
  const dataDir = join(folder, 'pg')
  const all = [otherProcess(dataDir), otherProcess(dataDir), otherProcess(dataDir)]
  const pids = new Set<string | undefined>()
  for (const one of all) pids.add((await one.sees(/up (\d+)/))[1])
  for (const one of all) await one.kill('SIGTERM')
  expect(pids.size).toBe(1)
  expect(isRunning(Number([...pids][0]))).toBe(false)
  expect(readdirSync(folder)).toEqual(['pg'])
})

test('starts that all found nothing running end up with one server', async () => {
  await (await start()).stop()
  const all = await Promise.all([start(), start(), start()])
  expect(new Set(all.map((one) => one.pid)).size).toBe(1)
})

test('a start that another has made the lock file of, and not written yet, ends up with the other', async () => {
  const first = await start()
  await first.stop()
  const file = join(first.dataDir, 'postmaster.pid')
  writeFileSync(file, '')
  const second = start()
  await waitFor(() => readFileSync(join(first.dataDir, 'switchback.log'), 'utf8').includes('is empty'), {
    what: 'PostgreSQL to refuse',
  })
  rmSync(file)
  const { pid } = await second
  expect(readPostmasterFile(first.dataDir)?.pid).toBe(pid)
})

test('an empty postmaster.pid that nobody writes is told of, with what to do', async () => {
  const first = await start()
  await first.stop()
  writeFileSync(join(first.dataDir, 'postmaster.pid'), '')
  await expect(start()).rejects.toThrow(/postmaster\.pid is empty.*remove the file, and start again/)
})

test('a postmaster.pid that names a stranger does not keep it from starting', async () => {
  const first = await start()
  await first.stop()
  // What a reboot leaves: the pid belongs to another process of the same user by now.
  const owner = statSync(first.dataDir)
  const ids = process.getuid?.() === 0 ? { uid: owner.uid, gid: owner.gid } : {}
  const stranger = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
    ...ids,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const file = join(first.dataDir, 'postmaster.pid')
  const lines = [stranger.pid, first.dataDir, 0, first.port, '', '127.0.0.1', '0 0', 'ready']
  writeFileSync(file, `${lines.join('\n')}\n`)
  if (process.getuid?.() === 0) chownSync(file, owner.uid, owner.gid)
  try {
    const second = await start()
    expect(readPostmasterFile(second.dataDir)?.pid).toBe(second.pid)
  } finally {
    stranger.kill('SIGKILL')
  }
})

test.runIf(existsSync('/proc/self/stat'))(
  'a user that was killed and whose pid another has now does not count',
  async () => {
    const postgres = await start()
    writeFileSync(join(postgres.dataDir, 'switchback.holders', `${process.ppid}-1-1`), '')
    await postgres.stop()
    expect(isRunning(postgres.pid)).toBe(false)
  },
)

test.runIf(existsSync('/proc/self/stat'))(
  'Ctrl-C in the terminal passes it by: it has a session of its own',
  async () => {
    const postgres = await start()
    const [, , session] =
      readFileSync(`/proc/${postgres.pid}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(1) ?? []
    expect(Number(session)).toBe(postgres.pid)
  },
)

test('a port in use, a folder with other files, a file in the way: one clear line each', async () => {
  const busy = await start()
  await expect(start(join(folder, 'other'), busy.port)).rejects.toMatchObject({
    code: 'postgres-port-in-use',
    message: expect.stringContaining(String(busy.port)),
  })
  mkdirSync(join(folder, 'photos'))
  writeFileSync(join(folder, 'photos', 'cat.jpg'), '')
  await expect(start(join(folder, 'photos'))).rejects.toMatchObject({
    code: 'postgres-data-folder',
    message: expect.stringContaining('holds other files'),
  })
  await expect(start(join(folder, 'photos', 'cat.jpg', 'x'))).rejects.toMatchObject({
    code: 'postgres-data-folder',
  })
})

test('a start that fails shows the end of the log', async () => {
  const failing = startBundledPostgres({
    dataDir: join(folder, 'pg'),
    port: await freePort(),
    settings: { shared_buffers: 'plenty' },
  })
  await expect(failing).rejects.toMatchObject({
    code: 'postgres-start-failed',
    message: expect.stringContaining('"shared_buffers": "plenty"'),
  })
})
