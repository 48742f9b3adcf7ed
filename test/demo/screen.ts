import cliProgress from 'cli-progress'
import pc from 'picocolors'

/** What a person watches: a line per event, and a bar where something takes its time. */
export class Screen {
  readonly #quiet: boolean
  readonly #started = Date.now()
  #bar: cliProgress.SingleBar | undefined

  constructor(quiet: boolean) {
    this.#quiet = quiet
  }

  /** With --json all of this goes to standard error, so that standard output ends with the result. */
  line(text = ''): void {
    this.endBar()
    const at = pc.dim(`${((Date.now() - this.#started) / 1000).toFixed(1).padStart(6)} s `)
    const stream = this.#quiet ? process.stderr : process.stdout
    stream.write(text === '' ? '\n' : `${at} ${text}\n`)
  }

  plain(text: string): void {
    this.endBar()
    const stream = this.#quiet ? process.stderr : process.stdout
    stream.write(`${text}\n`)
  }

  bar(label: string, done: number, total: number): void {
    if (this.#quiet || !process.stdout.isTTY) return
    if (this.#bar === undefined) {
      this.#bar = new cliProgress.SingleBar(
        {
          format: `          ${label} {bar} {percentage}% {value}/{total}`,
          hideCursor: true,
          clearOnComplete: true,
        },
        cliProgress.Presets.shades_classic,
      )
      this.#bar.start(Math.max(total, 1), done)
    } else {
      this.#bar.setTotal(Math.max(total, 1))
      this.#bar.update(Math.min(done, total))
    }
  }

  endBar(): void {
    this.#bar?.stop()
    this.#bar = undefined
  }
}
