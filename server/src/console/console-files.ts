import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, extname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
}

export interface ConsoleFile {
  readonly type: string
  readonly body: Buffer
  readonly gzipped: Buffer
  readonly etag: string
}

/** The console by path, such as `/assets/index-1a2b.js`; few and small, so they are kept in memory. */
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>

const compress = promisify(gzip)

/** Where the console is when it was built; undefined where it was not. */
export function consoleFolder(): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve('@switchback/console/index.html'))
  } catch {
    return undefined
  }
}

/** Reads a built console. A server without one is a server all the same. */
export async function readConsole(folder: string | undefined): Promise<ConsoleFiles> {
  if (folder === undefined) return new Map()
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name)
        const body = await readFile(path)
        const type = TYPES[extname(path)] ?? 'application/octet-stream'
        const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
        const name = `/${relative(folder, path).split(sep).join('/')}`
        return [name, { type, body, gzipped: await compress(body, { level: 9 }), etag }] as const
      }),
  )
  return new Map(files)
}
