import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

export interface Binary {
  readonly file: string
  readonly env: Readonly<Record<string, string>>
}

export interface DebianProgram {
  /** Its name on PATH. */
  readonly name: string
  readonly packages: readonly string[]
  /** Within what the packages unpack to. */
  readonly path: string
  /** Whether what the packages depend on and the machine lacks is unpacked too. */
  readonly dependencies?: boolean
}

const run = promisify(execFile)

/**
 * A program: the one on PATH, or Debian's, unpacked into the user's cache folder. That needs no
 * root, changes nothing on the machine, and is done once. Throws where neither can be had.
 */
export async function debianProgram(program: DebianProgram): Promise<Binary> {
  const { name, path } = program
  const installed = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name))
  const file = installed.find((candidate) => existsSync(candidate))
  if (file !== undefined) return { file, env: {} }
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'switchback')
  const unpacked = join(cache, name)
  if (!existsSync(unpacked)) await unpack(cache, unpacked, program)
  const libraries = join(unpacked, 'usr', 'lib')
  const triplets = (existsSync(libraries) ? readdirSync(libraries) : []).filter((folder) =>
    folder.includes('-linux-'),
  )
  const search = triplets.map((folder) => join(libraries, folder)).join(':')
  return { file: join(unpacked, path), env: { LD_LIBRARY_PATH: search } }
}

async function unpack(
  cache: string,
  target: string,
  { packages, dependencies = false }: DebianProgram,
): Promise<void> {
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'packages-'))
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
    const get = dependencies ? ['-y', '--no-install-recommends', '--download-only', 'install'] : ['download']
    await run('apt-get', [...own, '-q', ...get, ...packages], options)
    const folder = dependencies ? 'cache/archives' : '.'
    for (const name of readdirSync(join(work, folder))) {
      if (name.endsWith('.deb')) await run('dpkg', ['-x', join(folder, name), 'root'], options)
    }
    renameSync(join(work, 'root'), target)
  } catch (error) {
    // Another test file was quicker.
    if (!existsSync(target)) throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
