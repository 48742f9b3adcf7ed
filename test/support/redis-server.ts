import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Binary } from './debian-packages.ts'
import { freePort } from './free-port.ts'
import { redisBinary } from './redis-binary.ts'
import { type SpawnedProcess, spawnProcess } from './spawn-node.ts'
import { watchdog } from './watchdog.ts'

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Ends it; `start()` brings it back, empty, on the same port. */
  stop(): Promise<void>
  start(): Promise<void>
}

/**
 * A real Redis for the calling test file, or undefined, loudly, where none can be had:
 *
 * @example
 * const redis = await redisServer()
 * afterAll(() => redis?.stop())
 * describe.skipIf(!redis)('with Redis', () => { … })
 */
export async function redisServer(): Promise<RedisServer | undefined> {
  let binary: Binary
  try {
    binary = await redisBinary()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(
      `\n!!! SKIPPED: no redis-server on PATH, and Debian's cannot be fetched.\n!!! ${reason}\n\n`,
    )
    return undefined
  }
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'switchback-redis-'))
  watchdog().remove(folder)
  let running: SpawnedProcess | undefined

  async function start(): Promise<void> {
    if (running) return
    mkdirSync(folder, { recursive: true })
    const args = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      folder,
    ]
    running = spawnProcess(binary.file, args, { env: binary.env })
    await running.sees(/Ready to accept connections/)
  }
  async function stop(): Promise<void> {
    const ending = running
    running = undefined
    await ending?.kill()
    rmSync(folder, { recursive: true, force: true })
  }

  await start()
  return { url: `redis://127.0.0.1:${port}`, port, stop, start }
}
