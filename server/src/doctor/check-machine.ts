import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { parseS3, s3Store } from '../archive/s3-store.ts'
import type { Config } from '../config/config.ts'
import { type Check, checksOf, faultText } from './check.ts'

const GB = 1e9
const LITTLE = 5 * GB
const TOO_LITTLE = 0.5 * GB
const TIMEOUT_MS = 5_000
const is = checksOf('machine')

/** What a server needs of the machine it runs on. Nothing is written. */
export async function checkMachine(config: Config, ask: typeof fetch): Promise<readonly Check[]> {
  const { dataDir, archiveUrl, migrationsDir } = config
  const place = archiveUrl === undefined ? undefined : parseS3(archiveUrl)
  return [
    nodeCheck(process.versions.node),
    await portCheck(config, ask),
    await folderCheck('data', 'SWITCHBACK_DATA', dataDir),
    place === undefined
      ? await folderCheck('archives', 'ARCHIVE_URL', archiveUrl ?? join(dataDir, 'archive'))
      : await bucketCheck(place),
    ...(migrationsDir === undefined ? [] : [await migrationsCheck(migrationsDir)]),
  ]
}

/** @param version such as `20.19.0` */
export function nodeCheck(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const fits = major > 20 || (major === 20 && minor >= 19)
  return fits
    ? is.ok('node', `Node ${version}`)
    : is.fail('node', `Node ${version} is too old`, 'Install Node 20.19 or later.')
}

async function portCheck({ host, port }: Config, ask: typeof fetch): Promise<Check> {
  const at = `${host}:${port}`
  if (port === 0) return is.ok('port', `any free one of ${host}`)
  const code = await new Promise<string | undefined>((done) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    server.listen({ host, port }, () => server.close(() => done(undefined)))
  })
  if (code === undefined) return is.ok('port', `${at} is free`)
  if (code === 'EADDRINUSE') {
    const own = await isSwitchback(host, port, ask)
    return own
      ? is.ok('port', `a server of Switchback listens on ${at}`)
      : is.fail(
          'port',
          `${at} is in use by something else`,
          'Set PORT to another one, or end what listens there.',
        )
  }
  const action = code === 'EACCES' ? 'Set PORT to one above 1023.' : 'Set HOST to an address of this machine.'
  return is.fail('port', `${at} cannot be listened on: ${code}`, action)
}

async function isSwitchback(host: string, port: number, ask: typeof fetch): Promise<boolean> {
  const name =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  try {
    const response = await ask(`http://${name}:${port}/v1/openapi.json`, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    return /switchback/i.test(await response.text())
  } catch {
    return false
  }
}

/** The folder, or the nearest above it that is there already. */
async function nearest(path: string): Promise<string> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined)
    if (found !== undefined || folder === dirname(folder)) return folder
  }
}

async function folderCheck(name: string, variable: string, path: string): Promise<Check> {
  const folder = await nearest(path)
  try {
    if (!(await stat(folder)).isDirectory()) {
      return is.fail(name, `${folder} is no folder`, `Set ${variable} to a folder.`)
    }
    await access(folder, constants.W_OK | constants.X_OK)
    const { bavail, bsize } = await statfs(folder)
    const free = bavail * bsize
    const text = `${path}: ${(free / GB).toFixed(1)} GB free`
    const action = `Make room, or set ${variable} to a larger disk: archives are as large as what contract drops.`
    if (free < TOO_LITTLE) return is.fail(name, text, action)
    return free < LITTLE ? is.warn(name, text, action) : is.ok(name, text)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return is.fail(
      name,
      `${folder} cannot be written: ${code}`,
      `Give this user the right to write there, or set ${variable}.`,
    )
  }
}

async function bucketCheck(place: NonNullable<ReturnType<typeof parseS3>>): Promise<Check> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('no answer')), 2 * TIMEOUT_MS).unref()
  })
  try {
    await Promise.race([s3Store(place).list('doctor'), late])
    return is.ok('archives', `the bucket ${place.bucket} can be listed`)
  } catch (error) {
    return is.fail(
      'archives',
      `the bucket ${place.bucket} cannot be listed: ${faultText(error)}`,
      'See ARCHIVE_URL, and that the AWS credentials of this process may list, read, write and delete there.',
    )
  }
}

async function migrationsCheck(path: string): Promise<Check> {
  const found = await stat(path).catch(() => undefined)
  return found?.isDirectory() === true
    ? is.ok('migrations', `${path} is registered at the start`)
    : is.fail(
        'migrations',
        `${path} is no folder`,
        'Set MIGRATIONS_DIR to the folder that holds migration folders.',
      )
}
