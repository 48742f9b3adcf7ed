import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Phase } from '@switchback/migrations-registry'
import { pgbenchBinary, spawnProcess, testDatabase, waitFor } from '@switchback/test/support'
import { afterEach, expect, test } from 'vitest'
import { NEW_SCRIPT, startWorkload, WORKLOADS } from '../pgbench/workload.ts'
import { advanceTo, startService } from './service.ts'

const pgbench = await pgbenchBinary()
const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

const ID = 'account-balances'
const MIGRATION = {
  yaml: `
id: ${ID}
title: Balances of accounts move to a table of their own, with keys that last
writes: trigger
copy:
  from: pgbench_accounts
  to: account_balances
  key: { aid: aid }
  columns: { balance: abalance }
contract: { approvals: 0 }
`,
  sql: {
    expand: 'create table account_balances (aid bigint primary key, balance bigint)',
    rollback: 'drop table account_balances',
    contract: 'alter table pgbench_accounts drop column abalance',
  },
}

/** What TPC-B promises: all of these sums are one. */
const SUMS = `
  select (select sum(balance) from account_balances)::text as accounts, (select sum(tbalance) from pgbench_tellers)::text as tellers,
         (select sum(bbalance) from pgbench_branches)::text as branches, (select sum(delta) from pgbench_history)::text as history`

test.skipIf(pgbench === undefined)(
  'pgbench, which knows nothing of us, runs through a whole migration and back without a failed transaction',
  async () => {
    if (pgbench === undefined) return
    const store = await testDatabase()
    cleanup.push(() => store.drop())
    const target = await testDatabase()
    cleanup.push(() => target.drop())
    const folder = mkdtempSync(join(tmpdir(), 'switchback-pgbench-'))
    cleanup.push(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'new.sql')
    writeFileSync(file, NEW_SCRIPT)
    const initial = spawnProcess(pgbench.file, ['-i', '-s', '1', '-q', target.url], { env: pgbench.env })
    expect((await initial.exited).code, initial.output()).toBe(0)
    const service = await startService({
      DATABASE_URL: store.url,
      TARGET_MAIN_URL: target.url,
      SWITCHBACK_DATA: folder,
    })
    cleanup.push(() => service.process.kill('SIGTERM'))
    const to = (phase: Phase) => advanceTo(service, phase, ID)
    const post = (command: string, body: object) =>
      service.call('POST', `/v1/migrations/${ID}/${command}`, body)
    const differing = async (): Promise<unknown> =>
      (
        await target.pool.query(`select count(*)::int as count from pgbench_accounts a full join account_balances b using (aid)
          where a.aid is null or b.aid is null or abalance is distinct from balance`)
      ).rows[0]
    expect((await service.call('POST', '/v1/migrations', MIGRATION)).status).toBe(201)

    const old = startWorkload(pgbench, target.url, WORKLOADS.old, 100)
    for (const phase of ['expanded', 'dual-write', 'backfill', 'shadow', 'ramp'] as const) await to(phase)
    // A deployment: both versions at work, while the leader changes.
    const fresh = startWorkload(pgbench, target.url, WORKLOADS.new(file), 100)
    await to('promoted')
    expect(await old.stop()).toMatchObject({ failed: 0 })
    await to('retired')
    expect(await post('revert', { reason: 'on second thought' })).toMatchObject({ status: 200 })
    await waitFor(
      async () => {
        const { body } = await service.call<{ state: { complete: { old: boolean } } }>(
          'GET',
          `/v1/migrations/${ID}`,
        )
        return body.state.complete.old
      },
      { what: 'the reverse backfill', timeoutMs: 30_000 },
    )
    const again = startWorkload(pgbench, target.url, WORKLOADS.old, 100)
    await waitFor(async () => ((await target.pool.query('select from pgbench_history')).rowCount ?? 0) > 300)
    const total = await again.stop()
    expect(total).toMatchObject({ failed: 0 })
    expect(await differing()).toEqual({ count: 0 })
    expect(await post('rearm', { reason: 'and a third' })).toMatchObject({ status: 200 })
    await to('contracted')
    const { transactions, failed } = await fresh.stop()
    expect({ failed }).toEqual({ failed: 0 })
    expect(transactions).toBeGreaterThan(100)
    const [sums] = (await target.pool.query<Record<string, string>>(SUMS)).rows
    expect(new Set(Object.values(sums ?? {})).size, JSON.stringify(sums)).toBe(1)
    const left = await target.pool.query(
      `select proname from pg_proc where proname like 'carry%' and pronamespace = 'switchback'::regnamespace`,
    )
    expect(left.rows).toEqual([])
  },
  120_000,
)
