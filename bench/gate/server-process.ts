import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../../server/dist/main.js', import.meta.url))

/** The product's server as a process of its own, as a user starts it. */
export interface ServerProcess {
  readonly url: string
  readonly pid: number
  start(): Promise<void>
  stop(signal?: NodeJS.Signals): Promise<void>
  call<Result>(method: string, path: string, body?: unknown): Promise<Result>
}

export async function createServerProcess(
  environment: Readonly<Record<string, string>>,
): Promise<ServerProcess> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const { SWITCHBACK_ADMIN_TOKEN: token } = environment
  let child: ChildProcess | undefined
  let output = ''

  async function start(): Promise<void> {
    const started = spawn(process.execPath, [...serverFlags(), MAIN, 'serve'], {
      env: { ...process.env, ...environment, PORT: String(port), HOST: '127.0.0.1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    for (const stream of [started.stdout, started.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-8_000)
      })
    }
    while (!(await isReady(url))) {
      if (started.exitCode !== null || started.signalCode !== null) {
        throw new Error(`the server did not start:\n${output}`)
      }
      await sleep(25)
    }
  }

  return {
    url,
    get pid() {
      if (child?.pid === undefined) throw new Error('the server does not run')
      return child.pid
    },
    start,
    stop: async (signal = 'SIGTERM') => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
    },
    call: async <Result>(method: string, path: string, body?: unknown): Promise<Result> => {
      const response = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`)
      return (text === '' ? undefined : JSON.parse(text)) as Result
    },
  }
}

/** `BENCH_SERVER_FLAGS="--cpu-prof --cpu-prof-dir=/tmp/prof"` profiles the server. */
const serverFlags = (): readonly string[] =>
  (process.env.BENCH_SERVER_FLAGS ?? '').split(' ').filter((flag) => flag !== '')

const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/readyz`).then(
    (response) => response.ok,
    () => false,
  )

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
