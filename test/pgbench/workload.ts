import { spawnProcess } from '@switchback/test/support'
import type { Binary } from '../support/debian-packages.ts'

/** TPC-B as pgbench brings it, and the same by a version of the application that knows the table of balances. */
export const WORKLOADS = {
  old: ['-b', 'tpcb-like'],
  new: (file: string) => ['-f', file],
} as const

export const NEW_SCRIPT = `
\\set aid random(1, 100000 * :scale)
\\set bid random(1, 1 * :scale)
\\set tid random(1, 10 * :scale)
\\set delta random(-5000, 5000)
BEGIN;
UPDATE account_balances SET balance = balance + :delta WHERE aid = :aid;
SELECT balance FROM account_balances WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
`

export interface WorkloadTotals {
  readonly transactions: number
  readonly failed: number
  readonly retried: number
}

/** pgbench that runs on and on, a short run at a time, until it is stopped; each run says what failed. */
export interface Workload {
  /** Lets the present run end. Rejects where pgbench itself, or a statement of it, failed. */
  stop(): Promise<WorkloadTotals>
}

const SECONDS = 1

export function startWorkload(
  pgbench: Binary,
  url: string,
  script: readonly string[],
  rate: number,
): Workload {
  let stopped = false
  const totals = { transactions: 0, failed: 0, retried: 0 }
  const runs = (async () => {
    while (!stopped) {
      const args = [
        '-n',
        '-c',
        '3',
        '-T',
        String(SECONDS),
        '-R',
        String(rate),
        '--max-tries=20',
        ...script,
        url,
      ]
      const run = spawnProcess(pgbench.file, args, { env: pgbench.env })
      const { code } = await run.exited
      const output = run.output()
      if (code !== 0) throw new Error(`pgbench ended with ${code}: ${output}`)
      const count = (pattern: RegExp) => Number(output.match(pattern)?.[1] ?? 0)
      totals.transactions += count(/number of transactions actually processed: (\d+)/)
      totals.failed += count(/number of failed transactions: (\d+)/)
      totals.retried += count(/number of transactions retried: (\d+)/)
    }
  })()
  // Looked at when it is stopped.
  runs.catch(() => undefined)
  return {
    stop: async () => {
      stopped = true
      await runs
      return totals
    },
  }
}
