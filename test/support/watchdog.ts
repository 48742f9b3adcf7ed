import { spawn } from 'node:child_process'

/**
 * Cleans up when this process is gone, however it went: it waits for the end of a pipe, which comes
 * with Ctrl-C and with kill -9 as well, where no handler and no teardown of ours would run.
 */
export interface Watchdog {
  /** Send `signal` to `pid` when we are gone. */
  end(pid: number, signal: 'SIGKILL' | 'SIGQUIT'): void
  /** `pid` ended by itself. */
  forget(pid: number): void
  /** Remove `folder` when we are gone, after all processes have ended. */
  remove(folder: string): void
}

const SCRIPT = `
const { rmSync } = require('node:fs')
const pids = new Map(), folders = new Set()
const alive = (pid) => { try { process.kill(pid, 0); return true } catch { return false } }
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const [what, value, signal] = JSON.parse(line)
  if (what === 'end') pids.set(value, signal)
  else if (what === 'forget') pids.delete(value)
  else folders.add(value)
}).on('close', () => {
  for (const [pid, signal] of pids) try { process.kill(pid, signal) } catch {}
  const deadline = Date.now() + 10000
  const finish = () => {
    if ([...pids.keys()].some(alive) && Date.now() < deadline) return setTimeout(finish, 20)
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
  finish()
})
`

let shared: Watchdog | undefined

/** The watchdog of this process, started with its first use. */
export function watchdog(): Watchdog {
  shared ??= createWatchdog()
  return shared
}

function createWatchdog(): Watchdog {
  const child = spawn(process.execPath, ['-e', SCRIPT], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  child.on('error', () => undefined)
  child.stdin.on('error', () => undefined)
  child.unref()
  // A pipe's handle keeps Node alive unless told otherwise; the types know only of streams.
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
  const tell = (...words: (string | number)[]): void => {
    child.stdin.write(`${JSON.stringify(words)}\n`)
  }
  return {
    end: (pid, signal) => tell('end', pid, signal),
    forget: (pid) => tell('forget', pid),
    remove: (folder) => tell('remove', folder),
  }
}
