/**
 * The main job, end to end: a real migration of a real PostgreSQL through its whole life, under traffic, with
 * an alert that switches the flags back, and proof that no write was lost.
 */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Table from 'cli-table3'
import pc from 'picocolors'
import { failAndRevert, type RevertTimes } from './breach.ts'
import { type Comparison, compareAll } from './compare.ts'
import { ID, Journey, type PhaseTime } from './journey.ts'
import type { LedgerSummary } from './ledger.ts'
import { type DemoOptions, parseOptions, USAGE } from './options.ts'
import { Screen } from './screen.ts'
import { Cleanup, type Stage, setUp } from './setup.ts'
import { goBackAndForth } from './way-back.ts'

export interface DemoResult {
  readonly ok: boolean
  readonly rows: number
  readonly instances: number
  readonly reads: number
  readonly writesAcknowledged: number
  readonly writesLost: number
  readonly staleReads: number
  readonly divergences: number
  readonly unexpectedErrors: number
  readonly injectedErrors: number
  readonly revert: RevertTimes
  readonly phases: readonly PhaseTime[]
  readonly seconds: number
}

async function run(options: DemoOptions, stage: Stage, screen: Screen, started: number): Promise<DemoResult> {
  const { api } = stage
  const journey = new Journey(api, screen)
  await journey.advanceTo('expanded')
  await journey.advanceTo('dual-write')
  await journey.advanceTo('backfill')
  await journey.workDone('backfill', options.killServer ? killOnce(stage, screen) : undefined)
  await journey.advanceTo('shadow')
  await journey.workDone('verify')
  await journey.advanceTo('ramp', 0)
  await journey.advanceTo('ramp', 1)
  await journey.advanceTo('ramp', 2)

  const revert = await failAndRevert(stage, screen)
  journey.arrived(await api.migration(ID))
  await api.call('POST', `/v1/migrations/${ID}/rearm`, {
    reason: 'the cause of the failing reads is removed',
  })
  screen.line('re-armed: the cause is removed')

  await journey.advanceTo('backfill')
  await journey.workDone('backfill')
  await journey.advanceTo('shadow')
  await journey.workDone('verify')
  for (const step of [0, 1, 2, 3]) await journey.advanceTo('ramp', step)
  await journey.advanceTo('promoted')
  let retired = await journey.advanceTo('retired')
  if (options.wayBack) {
    await goBackAndForth(stage, journey, screen)
    retired = await journey.advanceTo('retired')
  }
  await stage.approver.call('POST', `/v1/migrations/${ID}/approve`, {})
  screen.line('approved by the lead of riders')
  const contracted = await journey.advanceTo('contracted')
  journey.end()

  const archive = contracted.works.find((work) => work.kind === 'contract')?.result?.archive
  if (typeof archive !== 'string') throw new Error('contract named no archive')
  await Promise.all(stage.apps.map((app) => app.pause()))
  const ledgers = await Promise.all(stage.apps.map((app) => app.ledger()))
  const comparison = await compareAll(
    stage.target.url,
    join(archive, 'public.users.csv.gz'),
    ledgers.map(({ summary, records }) => ({ instance: summary.instance, records })),
    retired.state.since,
  )
  const summaries = ledgers.map(({ summary }) => summary)
  const result = summarise(summaries, comparison, revert, journey.phases, started)
  print(screen, summaries, comparison, result)
  return result
}

/** Kills the server as soon as some of the backfill is done, and starts it again. */
function killOnce(stage: Stage, screen: Screen) {
  let killed = false
  return async (view: {
    works: readonly { kind: string; status: string; progress: { done?: number } }[]
  }) => {
    const copied =
      view.works.find((work) => work.kind === 'backfill' && work.status === 'running')?.progress.done ?? 0
    if (killed || copied === 0) return
    killed = true
    await stage.server.kill()
    screen.line(pc.yellow(`server: killed with SIGKILL after ${copied} rows of the backfill`))
    await sleep(500)
    await stage.server.start()
    screen.line('server: started again')
  }
}

function summarise(
  summaries: readonly LedgerSummary[],
  comparison: Comparison,
  revert: RevertTimes,
  phases: readonly PhaseTime[],
  started: number,
): DemoResult {
  const sum = (
    field: 'reads' | 'writesAcknowledged' | 'staleReads' | 'unexpectedErrors' | 'injectedErrors',
  ) => summaries.reduce((total, summary) => total + summary[field], 0)
  const { writesLost, divergences } = comparison
  const ok =
    writesLost + divergences + sum('staleReads') + sum('unexpectedErrors') === 0 && sum('injectedErrors') > 0
  return {
    ok,
    rows: comparison.rows,
    instances: summaries.length,
    reads: sum('reads'),
    writesAcknowledged: sum('writesAcknowledged'),
    writesLost,
    staleReads: sum('staleReads'),
    divergences,
    unexpectedErrors: sum('unexpectedErrors'),
    injectedErrors: sum('injectedErrors'),
    revert,
    phases,
    seconds: Math.round((performance.now() - started) / 100) / 10,
  }
}

function print(
  screen: Screen,
  summaries: readonly LedgerSummary[],
  comparison: Comparison,
  result: DemoResult,
): void {
  const verdict = (count: number) => (count === 0 ? pc.green('0') : pc.red(String(count)))
  const table = new Table({ style: { head: [], border: [] }, colAligns: ['left', 'right'] })
  table.push(
    ['rows in user_profiles', result.rows.toLocaleString('en')],
    ['reads by 3 instances', result.reads.toLocaleString('en')],
    ['writes acknowledged', result.writesAcknowledged.toLocaleString('en')],
    ['acknowledged writes lost', verdict(result.writesLost)],
    ['reads older than an acknowledged write', verdict(result.staleReads)],
    ['rows of the archive that differ from new', verdict(result.divergences)],
    ['  … that were written after old was retired', comparison.writtenSince.toLocaleString('en')],
    ['errors seen by callers, injected', result.injectedErrors.toLocaleString('en')],
    ['errors seen by callers, others', verdict(result.unexpectedErrors)],
    ['alert to commit of the revert', `${result.revert.alertToCommitMs} ms`],
    ['alert to last instance', `${result.revert.alertToLastAckMs} ms`],
    ['in all', `${result.seconds} s`],
  )
  screen.plain(table.toString())
  for (const example of [...comparison.examples, ...summaries.flatMap((summary) => summary.examples)]) {
    screen.plain(pc.red(`  ${example}`))
  }
  screen.plain(result.ok ? pc.green('Nothing was lost.') : pc.red('This is not as it should be.'))
}

async function main(): Promise<number> {
  if (process.argv.includes('--help')) {
    console.log(USAGE)
    return 0
  }
  let options: DemoOptions
  try {
    options = parseOptions(process.argv.slice(2))
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return 2
  }
  const started = performance.now()
  const screen = new Screen(options.json)
  const cleanup = new Cleanup()
  let interrupted = () => {}
  const interruption = new Promise<never>((_, reject) => {
    interrupted = () => reject(new Error('interrupted'))
  })
  interruption.catch(() => {})
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted())
  try {
    const work = setUp(options, screen, cleanup)
    const stage = await Promise.race([work, interruption])
    const result = await Promise.race([run(options, stage, screen, started), interruption])
    if (options.keep) {
      for (const app of stage.apps) app.tell({ type: 'resume' })
      screen.plain(
        `\nStill running; Ctrl-C ends it.\n  console and API  ${stage.server.url}\n  admin token      ${stage.folder}/data/admin-token\n  target           ${stage.target.url}`,
      )
      await interruption.catch(() => {})
    }
    await cleanup.run()
    if (options.json) console.log(JSON.stringify(result))
    return result.ok ? 0 : 1
  } catch (error) {
    screen.plain(pc.red(error instanceof Error ? error.message : String(error)))
    await cleanup.run()
    return 1
  }
}

process.exitCode = await main()
