import { readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { systemCode } from './postgres-error.ts'

/** State letter and start time of a process where the system has /proc, else undefined. */
function procStat(pid: number): { state: string; startedAt: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command's name may hold blanks and brackets; the fields begin behind its last bracket.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', startedAt: fields[19] ?? '' }
  } catch {
    return undefined
  }
}

/** True while `pid` runs. A zombie does not: in a container nobody may ever reap it. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (systemCode(error) !== 'EPERM') return false
  }
  const state = procStat(pid)?.state
  return state !== 'Z' && state !== 'X'
}

/** Tells a process from a later one with the same pid; empty where the system cannot say. */
export function startMark(pid: number): string {
  return procStat(pid)?.startedAt ?? ''
}

/**
 * Whether `pid` is the postmaster of `dataDir`: a postmaster's working directory is its data folder.
 * `undefined` where the system does not tell (no /proc, or a process of another user).
 */
export function worksIn(pid: number, dataDir: string): boolean | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === dataDir
  } catch {
    return undefined
  }
}

/** Waits until `pid` is gone; false when it still runs after `timeoutMs`. */
export async function waitForExit(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (isRunning(pid)) {
    if (performance.now() > deadline) return false
    await pause(10)
  }
  return true
}
