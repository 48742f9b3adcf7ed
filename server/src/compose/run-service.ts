import type { Logger } from 'pino'
import { type Config, parseConfig } from '../config/config.ts'
import { createLogger } from '../config/create-logger.ts'
import { startServer } from './start-server.ts'
import { startWorker } from './start-worker.ts'

/** One line that says what was wrong, and what to do where that is known; never a stack trace. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string }
  if (code === 'EADDRINUSE') return `the port ${port} of ${address} is in use: set PORT to another one`
  if (code === 'EACCES' && port !== undefined)
    return `the port ${port} may not be used by this user: set PORT to one above 1023`
  if (code === 'ECONNREFUSED') return `the store cannot be reached at ${address}:${port}: see DATABASE_URL`
  if (error instanceof AggregateError && error.errors[0] !== undefined) return explain(error.errors[0])
  return error.message
}

/** Runs a service until the process is told to stop; a second signal ends it at once. */
async function runService(
  start: (config: Config, log: Logger) => Promise<{ stop(): Promise<void> }>,
  say: (line: string) => void,
): Promise<number> {
  const parsed = parseConfig(process.env)
  if (!parsed.ok) {
    for (const { name, message } of parsed.problems) say(`${name}: ${message}`)
    return 1
  }
  const log = createLogger(parsed.config.logLevel)
  let service: { stop(): Promise<void> }
  const told = new Promise<void>((resolve) => {
    let count = 0
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (++count > 1) process.exit(1)
        resolve()
      })
    }
  })
  try {
    service = await start(parsed.config, log)
  } catch (error) {
    say(`switchback: ${explain(error)}`)
    return 1
  }
  await told
  await service.stop()
  return 0
}

/** Both end with an exit code once the process is told to stop. */
export const serve = (say: (line: string) => void): Promise<number> => runService(startServer, say)
export const work = (say: (line: string) => void): Promise<number> => runService(startWorker, say)
