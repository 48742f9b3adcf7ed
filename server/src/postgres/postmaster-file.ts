import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { isRunning, worksIn } from './process-table.ts'

/** What `postmaster.pid` says: PostgreSQL writes it while starting and removes it as its last act. */
export interface Postmaster {
  readonly pid: number
  /** Undefined in the first moments of a start, when PostgreSQL has not written it yet. */
  readonly port: number | undefined
}

export function readPostmasterFile(dataDir: string): Postmaster | undefined {
  let lines: string[]
  try {
    lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')
  } catch {
    return undefined
  }
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  const port = Number(lines[3])
  return { pid, port: Number.isInteger(port) && port > 0 ? port : undefined }
}

/** The live postmaster of this data folder, if there is one. */
export function findPostmaster(dataDir: string): Postmaster | undefined {
  const found = readPostmasterFile(dataDir)
  if (!found || !isRunning(found.pid)) return undefined
  return worksIn(found.pid, dataDir) === false ? undefined : found
}

/**
 * After a reboot, or in a new container, the pid in a left-over file may belong to another process of
 * the same user, and PostgreSQL would refuse to start for ever. The pid of PostgreSQL's own parent is
 * taken for stale by it; so the file is rewritten with ours rather than removed: removing it would
 * switch off the check of the shared memory segment, which keeps us from starting beside orphaned
 * backends of a killed postmaster.
 */
export function disownStalePostmasterFile(dataDir: string): void {
  const found = readPostmasterFile(dataDir)
  if (!found || !isRunning(found.pid) || worksIn(found.pid, dataDir) !== false) return
  const file = join(dataDir, 'postmaster.pid')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace(/^\d+/, String(process.pid)))
}

/** PostgreSQL makes the file and writes to it right after. */
const WRITTEN_WITHIN_MS = 3_000

/** False as soon as the file is gone or says something: another was starting. True where nobody is about to write it. */
export async function staysEmpty(dataDir: string): Promise<boolean> {
  const deadline = performance.now() + WRITTEN_WITHIN_MS
  while (performance.now() < deadline) {
    if (statSync(join(dataDir, 'postmaster.pid'), { throwIfNoEntry: false })?.size !== 0) return false
    await pause(10)
  }
  return true
}
