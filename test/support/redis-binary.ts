import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

export interface RedisBinary {
  readonly file: string
  readonly env: Readonly<Record<string, string>>
}

const run = promisify(execFile)
const PACKAGES = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1']

/**
 * A redis-server: the one on PATH, or Debian's, unpacked into the user's cache folder. That needs no
 * root, changes nothing on the machine, and is done once. Throws where neither can be had.
 */
export async function redisBinary(): Promise<RedisBinary> {
  const installed = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'redis-server'))
  const file = installed.find((candidate) => existsSync(candidate))
  if (file !== undefined) return { file, env: {} }
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'switchback')
  const unpacked = join(cache, 'redis')
  if (!existsSync(unpacked)) await unpack(cache, unpacked)
  const libraries = join(unpacked, 'usr', 'lib')
  const triplets = readdirSync(libraries).filter((name) => name.includes('-linux-'))
  const path = triplets.map((name) => join(libraries, name)).join(':')
  return { file: join(unpacked, 'usr', 'bin', 'redis-server'), env: { LD_LIBRARY_PATH: path } }
}

async function unpack(cache: string, target: string): Promise<void> {
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'redis-'))
  try {
    for (const folder of ['lists/partial', 'cache/archives/partial', 'root'])
      mkdirSync(join(work, folder), { recursive: true })
    const own = [
      '-o',
      `Dir::State::Lists=${work}/lists`,
      '-o',
      `Dir::Cache=${work}/cache`,
      '-o',
      'Debug::NoLocking=1',
    ]
    const options = { cwd: work, timeout: 120_000 }
    await run('apt-get', [...own, '-q', 'update'], options)
    await run('apt-get', [...own, '-q', 'download', ...PACKAGES], options)
    for (const name of readdirSync(work)) {
      if (name.endsWith('.deb')) await run('dpkg', ['-x', name, 'root'], options)
    }
    renameSync(join(work, 'root'), target)
  } catch (error) {
    // Another test file was quicker.
    if (!existsSync(target)) throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
