import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { leaveTo } from './identity.ts'

const KEEP_BYTES = 5_000_000

/**
 * PostgreSQL writes to a file and not to a pipe: it may outlive the process that started it. The file
 * is put aside at a start when it has grown, so that at most two of them stay.
 */
export function openServerLog(dataDir: string): {
  file: string
  fd: number
  tail(lines: number): string
  close(): void
} {
  const file = join(dataDir, 'switchback.log')
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > KEEP_BYTES) renameSync(file, `${file}.1`)
  const from = size > KEEP_BYTES ? 0 : size
  const fd = openSync(file, 'a', 0o600)
  leaveTo(file, dataDir)
  return {
    file,
    fd,
    tail: (lines) =>
      readFileSync(file).subarray(from).toString('utf8').trim().split('\n').slice(-lines).join('\n'),
    close: () => closeSync(fd),
  }
}
