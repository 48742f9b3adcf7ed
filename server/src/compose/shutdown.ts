import type { ServerLog } from './server-log.ts'

/** Closes what was opened, newest first; what cannot be closed does not keep the rest open. */
export class Shutdown {
  readonly #steps: { readonly name: string; readonly close: () => Promise<void> }[] = []
  readonly #log: ServerLog
  #running: Promise<void> | undefined

  constructor(log: ServerLog) {
    this.#log = log
  }

  add(name: string, close: () => Promise<void>): void {
    this.#steps.unshift({ name, close })
  }

  run(): Promise<void> {
    this.#running ??= this.#close()
    return this.#running
  }

  async #close(): Promise<void> {
    for (const { name, close } of this.#steps) {
      try {
        await close()
      } catch (error) {
        this.#log.warn({ err: error, part: name }, `could not be closed: ${name}`)
      }
    }
  }
}
