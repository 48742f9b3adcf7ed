import { type ChildProcess, spawn } from 'node:child_process'
import { type WaitOptions, waitFor } from './wait-for.ts'
import { watchdog } from './watchdog.ts'

export interface SpawnOptions {
  readonly cwd?: string
  /** Over our own environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface SpawnedProcess {
  readonly child: ChildProcess
  readonly pid: number
  /** All that it has written so far, stdout and stderr as they came. */
  output(): string
  stdout(): string
  /** Waits until the output matches; fails at once, with the output, when the process ends before. */
  sees(pattern: RegExp, options?: WaitOptions): Promise<RegExpMatchArray>
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Sends `signal` (default SIGKILL) and waits for the end. Harmless when it has ended. */
  kill(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** Runs `node …args` with its output captured. It never outlives us, even when we are killed. */
export function spawnNode(args: readonly string[], options: SpawnOptions = {}): SpawnedProcess {
  return spawnProcess(process.execPath, args, options)
}

/** The same for any program. */
export function spawnProcess(
  file: string,
  args: readonly string[],
  options: SpawnOptions = {},
): SpawnedProcess {
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const pid = child.pid
  if (pid === undefined) throw new Error(`${file} could not be started`)
  watchdog().end(pid, 'SIGKILL')

  let all = ''
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    all += text
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    all += text
  })
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    // 'close' and not 'exit': only then the output is complete.
    child.once('close', (code, signal) => {
      watchdog().forget(pid)
      resolve({ code, signal })
    })
  })
  let ended = false
  void exited.then(() => {
    ended = true
  })

  return {
    child,
    pid,
    exited,
    output: () => all,
    stdout: () => out,
    async sees(pattern, waitOptions) {
      await waitFor(() => pattern.test(all) || ended, {
        what: `${pattern} in the output`,
        ...waitOptions,
      }).catch((cause: unknown) => {
        throw new Error(`${file} ${args.join(' ')} never wrote ${pattern}; it wrote:\n${all}`, { cause })
      })
      const match = all.match(pattern)
      if (!match)
        throw new Error(`${file} ${args.join(' ')} ended before it wrote ${pattern}; it wrote:\n${all}`)
      return match
    },
    kill(signal = 'SIGKILL') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return exited
    },
  }
}
