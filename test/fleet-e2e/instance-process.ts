import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { watchdog } from '../support/index.ts'
import type { FromInstance, HoldAt, InstanceSettings, ToInstance } from './messages.ts'

// Built: Node runs no TypeScript.
const PROGRAM = fileURLToPath(new URL('../dist/fleet-e2e/instance.js', import.meta.url))

type Written = Extract<FromInstance, { type: 'written' }>

/** One application instance in a process of its own. */
export class InstanceProcess {
  readonly id: string
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #received: FromInstance[] = []
  readonly #waiting: { readonly type: string; readonly resolve: (message: FromInstance) => void }[] = []

  constructor(settings: InstanceSettings) {
    this.id = settings.instance
    this.#child = fork(PROGRAM, [], {
      env: { ...process.env, INSTANCE: JSON.stringify(settings) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const { pid } = this.#child
    if (pid === undefined) throw new Error(`${this.id} could not be started`)
    watchdog().end(pid, 'SIGKILL')
    this.#ended = once(this.#child, 'exit').then(() => watchdog().forget(pid))
    this.#child.on('message', (message: FromInstance) => {
      const index = this.#waiting.findIndex(({ type }) => type === message.type)
      if (index < 0) this.#received.push(message)
      else this.#waiting.splice(index, 1)[0]?.resolve(message)
    })
  }

  /** The next message of this type, also one that came before it was asked for. */
  async next<Type extends FromInstance['type']>(type: Type): Promise<Extract<FromInstance, { type: Type }>> {
    const index = this.#received.findIndex((message) => message.type === type)
    const message =
      index >= 0
        ? this.#received.splice(index, 1)[0]
        : await new Promise<FromInstance>((resolve) => this.#waiting.push({ type, resolve }))
    return message as Extract<FromInstance, { type: Type }>
  }

  async write(key: number, value: string): Promise<Written> {
    this.#tell({ type: 'write', key, value })
    return this.next('written')
  }

  /** Begins a write and resolves when it stands still; `go` ends it. */
  async writeAndHold(key: number, value: string, holdAt: HoldAt): Promise<void> {
    this.#tell({ type: 'write', key, value, holdAt })
    await this.next('holding')
  }

  async go(): Promise<Written> {
    this.#tell({ type: 'go' })
    return this.next('written')
  }

  /** The process stands still, and does not know it. */
  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.#ended
  }

  #tell(message: ToInstance): void {
    this.#child.send(message)
  }
}
