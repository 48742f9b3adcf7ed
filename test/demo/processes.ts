import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { KeyRecord, LedgerSummary } from './ledger.ts'
import type { AppSettings, FromApp, PathCounts, ToApp } from './messages.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** A free TCP port on loopback. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

/** The flag server as a process of its own, which can be killed and started again. */
export class ServerProcess {
  readonly url: string
  readonly #environment: Readonly<Record<string, string>>
  #child: ChildProcess | undefined
  #output = ''

  constructor(port: number, environment: Readonly<Record<string, string>>) {
    this.url = `http://127.0.0.1:${port}`
    this.#environment = { ...environment, PORT: String(port), HOST: '127.0.0.1' }
  }

  async start(): Promise<void> {
    // A process group of its own: Ctrl-C in the terminal must not reach it before the demo has asked it to stop.
    const child = spawn(process.execPath, [`${ROOT}server/dist/main.js`, 'serve'], {
      env: { ...process.env, ...this.#environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#child = child
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-4000)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    const deadline = Date.now() + 60_000
    while (!(await this.#isReady())) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`the server did not start:\n${this.#output}`)
      await sleep(50)
    }
  }

  async #isReady(): Promise<boolean> {
    return fetch(`${this.url}/readyz`).then(
      (response) => response.ok,
      () => false,
    )
  }

  /** kill -9: no chance to tidy up. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    const gone = await Promise.race([exited.then(() => true), sleep(15_000, false, { ref: false })])
    if (!gone) {
      child.kill('SIGKILL')
      await exited
    }
  }
}

/** One application instance. */
export class AppProcess {
  readonly id: string
  summary: LedgerSummary | undefined
  paths: PathCounts = { old: { reads: 0, errors: 0 }, new: { reads: 0, errors: 0 } }
  readonly #child: ChildProcess
  readonly #waiting: {
    type: FromApp['type']
    resolve: (message: FromApp) => void
    reject: (error: Error) => void
  }[] = []
  #errors = ''

  constructor(settings: AppSettings) {
    this.id = settings.instance
    this.#child = fork(fileURLToPath(new URL('app.js', import.meta.url)), [], {
      env: { ...process.env, RIDES_API: JSON.stringify(settings) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
    })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-2000)
    })
    this.#child.on('message', (message: FromApp) => this.#receive(message))
    this.#child.on('exit', (code) => {
      for (const waiter of this.#waiting.splice(0)) {
        waiter.reject(new Error(`${this.id} ended with ${code}: ${this.#errors}`))
      }
    })
  }

  #receive(message: FromApp): void {
    if ('summary' in message) this.summary = message.summary
    if (message.type === 'stats') this.paths = message.paths
    const index = this.#waiting.findIndex((waiter) => waiter.type === message.type)
    if (index >= 0) this.#waiting.splice(index, 1)[0]?.resolve(message)
  }

  next<Type extends FromApp['type']>(type: Type): Promise<Extract<FromApp, { type: Type }>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ type, resolve: resolve as (message: FromApp) => void, reject })
    })
  }

  tell(message: ToApp): void {
    if (this.#child.connected) this.#child.send(message)
  }

  async pause(): Promise<void> {
    const paused = this.next('paused')
    this.tell({ type: 'pause' })
    await paused
  }

  async ledger(): Promise<{ summary: LedgerSummary; records: readonly KeyRecord[] }> {
    const answer = this.next('ledger')
    this.tell({ type: 'ledger' })
    return await answer
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.tell({ type: 'stop' })
    const gone = await Promise.race([exited.then(() => true), sleep(10_000, false, { ref: false })])
    if (!gone) {
      this.#child.kill('SIGKILL')
      await exited
    }
  }
}
