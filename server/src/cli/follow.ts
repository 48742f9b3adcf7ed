import { setTimeout as pause } from 'node:timers/promises'
import type { NextStep } from '@switchback/migrations-registry'
import progress from 'cli-progress'
import { type Client, UnreachableError } from './client.ts'
import { phaseText, presentWork } from './status-text.ts'
import { plain, type Terminal } from './terminal.ts'
import type { MigrationView } from './views.ts'

export type Followed =
  | { readonly arrived: true; readonly view: MigrationView }
  | { readonly arrived: false; readonly view: MigrationView; readonly why: string }

export interface FollowOptions {
  readonly client: Client
  readonly terminal: Terminal
  /** Nothing is shown on the way where the result is for a machine. */
  readonly quiet: boolean
  readonly pollMs: number
}

/** How often a command that waits looks where things stand. */
export const POLL_MS = 250
/** A server that is started anew answers again within this time. */
const PATIENCE_MS = 60_000

/** Whether `view` is where the step was to lead, is still on the way (undefined), or will not get there. */
function judge(step: NextStep, before: MigrationView, view: MigrationView): Followed | undefined {
  const { state } = view
  const failed = (why: string): Followed => ({ arrived: false, view, why })
  if (state.latch !== undefined && before.state.latch === undefined)
    return failed(`reverted: ${state.latch.reason}`)
  if (state.work?.status === 'failed')
    return failed(`${state.work.kind} failed: ${state.work.error ?? 'unknown error'}`)
  if (step.kind === 'work' && state.phase !== step.to) {
    return state.work?.kind === step.work ? undefined : failed(`${step.work} was called off`)
  }
  if (step.kind === 'phase' && state.phase !== step.to)
    return failed(`the migration has moved to ${state.phase}`)
  if (state.work !== undefined && state.work.status !== 'done') return undefined
  return { arrived: true, view }
}

/** Follows a step that was taken until its database work is done, or has failed. */
export async function follow(
  options: FollowOptions,
  step: NextStep,
  before: MigrationView,
  taken: MigrationView,
): Promise<Followed> {
  const { client, pollMs } = options
  const path = `/v1/migrations/${encodeURIComponent(taken.id)}`
  const screen = createScreen(options)
  try {
    let view = taken
    let silentSince: number | undefined
    for (;;) {
      screen.show(view)
      const result = judge(step, before, view)
      if (result !== undefined) return result
      await pause(pollMs)
      try {
        view = await client.call<MigrationView>('GET', path)
        silentSince = undefined
      } catch (error) {
        if (!(error instanceof UnreachableError)) throw error
        silentSince ??= options.terminal.now()
        if (options.terminal.now() - silentSince > PATIENCE_MS) throw error
      }
    }
  } finally {
    screen.end()
  }
}

/** A bar for a person, a line per stage for a log, nothing for a machine. */
function createScreen({ terminal, quiet }: FollowOptions): { show(view: MigrationView): void; end(): void } {
  let last = ''
  let bar: progress.SingleBar | undefined
  return {
    show(view) {
      if (quiet) return
      const work = presentWork(view)
      const stage =
        work === undefined ? phaseText(view.state) : `${work.kind}: ${work.progress.stage ?? work.status}`
      const total = work?.progress.total
      if (terminal.isTty && work !== undefined && total !== undefined) {
        const values = { stage: plain(stage), rate: Math.round(work.progress.rate ?? 0) }
        if (bar === undefined) {
          bar = new progress.SingleBar(
            {
              format: '{stage} [{bar}] {percentage}%  {value} of {total} rows  {rate} rows/s',
              hideCursor: true,
            },
            progress.Presets.shades_classic,
          )
          bar.start(total, 0, values)
        }
        bar.setTotal(total)
        bar.update(Math.min(work.progress.done ?? 0, total), values)
      } else if (stage !== last) {
        bar?.stop()
        bar = undefined
        terminal.err(`${plain(stage)}\n`)
      }
      last = stage
    },
    end() {
      bar?.stop()
    },
  }
}
