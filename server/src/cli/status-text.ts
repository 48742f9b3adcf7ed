import {
  type Blocker,
  formatDuration,
  type Gate,
  type NextStep,
  PHASE_TABLE,
} from '@switchback/migrations-registry'
import { type Paint, plain, table } from './terminal.ts'
import type { MigrationView, WorkView } from './views.ts'

const percent = (share: number): string => `${Number((share * 100).toFixed(3))}%`

export function phaseText(state: MigrationView['state']): string {
  if (state.phase !== 'ramp') return state.phase
  const { share, canary } = state.rollout
  return share > 0 || canary.length === 0 ? `ramp ${percent(share)}` : `ramp ${canary.length} canary`
}

function readsText(rule: MigrationView['config']['read']): string {
  if (rule.kind === 'fixed') return rule.variant
  if (rule.canary.length > 0 && rule.share === 0)
    return `${rule.inside} on ${rule.canary.join(', ')}, else ${rule.outside}`
  const inside = Number((rule.share * 100).toFixed(3))
  return `${rule.inside} ${inside} / ${rule.outside} ${Number((100 - inside).toFixed(3))}`
}

export const flagsText = ({ config }: MigrationView): string =>
  `reads ${readsText(config.read)}, writes ${config.write}`

function nextText(next: NextStep): string {
  switch (next.kind) {
    case 'none':
      return 'nothing: this is the last phase'
    case 'work':
      return `${next.to}, by ${next.work}`
    case 'phase':
      return next.to
    case 'rollout':
      return next.share > 0 ? percent(next.share) : `${next.canaries} canary`
  }
}

/** How a revert from here would go. */
function wayBack({ phase, complete }: MigrationView['state']): string {
  const { revertsTo, revertBy } = PHASE_TABLE[phase]
  if (revertsTo === undefined) return 'way back: nothing to go back from'
  if (phase === 'promoted' && !complete.old) return 'way back: after the reverse backfill'
  if (revertBy === undefined) return 'way back: instant'
  return `way back: ${revertsTo}, by ${revertBy}`
}

export function blockersText(blockers: readonly Blocker[], paint: Paint): string {
  return table(
    ['blocker', 'who or what', 'why', 'what to do'],
    blockers.map(({ code, subject, message, action, forceable }) => [
      code,
      subject,
      message,
      forceable ? `${action} (--force ${code})` : action,
    ]),
    paint,
  )
}

export function gateText(gate: Gate, paint: Paint): string {
  if (gate.next.kind === 'none') return `next  ${nextText(gate.next)}`
  const open = gate.open ? paint.green('gate open') : paint.yellow('gate closed')
  const first = `next  ${nextText(gate.next)}; ${open}`
  return gate.blockers.length === 0 ? first : `${first}\n\n${blockersText(gate.blockers, paint)}`
}

function rangesText({ all, done, active }: NonNullable<WorkView['progress']['ranges']>): string {
  const now = active.map(({ name, rows, total }) => {
    const of = total === undefined ? '' : ` of ${Math.round(total)}`
    return rows === undefined ? name : `${name}: ${rows}${of} rows`
  })
  return `${done} of ${all} ranges done${now.length === 0 ? '' : ` (now ${now.slice(0, 3).join('; ')})`}`
}

function workText({ kind, status, progress, error }: WorkView): string {
  const { stage, done, total, rate, etaMs, throttledBy, workers = [], ranges } = progress
  const parts = [status === 'running' ? `${kind}: ${stage ?? 'running'}` : `${kind} ${status}`]
  if (done !== undefined) parts.push(total === undefined ? `${done} rows` : `${done} of ${total} rows`)
  if (rate !== undefined && status === 'running') parts.push(`${Math.round(rate)} rows/s`)
  if (etaMs !== undefined && status === 'running') parts.push(`${formatDuration(etaMs)} left`)
  if (ranges !== undefined) parts.push(rangesText(ranges))
  if (workers.length > 0 && status === 'running') {
    const each = workers.map(({ name, chunkRows, chunkMs }) => `${name} ${chunkRows} rows in ${chunkMs} ms`)
    parts.push(`${workers.length} workers (last chunks: ${each.slice(0, 8).join('; ')})`)
  }
  if (throttledBy !== undefined) parts.push(`held back by ${throttledBy}`)
  if (error !== undefined) parts.push(error)
  return parts.join(', ')
}

/** The record of the work that the present state asks for. */
export const presentWork = ({ state, works = [] }: MigrationView): WorkView | undefined =>
  works.find(({ kind, epoch }) => kind === state.work?.kind && epoch === state.work?.epoch)

/** What the newest work, if it was a rollback, has not put back. */
function leftByRollback({ works = [] }: MigrationView): readonly string[] {
  const [newest] = works
  const left = newest?.kind === 'rollback' ? newest.result?.left : undefined
  return Array.isArray(left) ? left.map(String) : []
}

function fleetText({ state, fleet }: MigrationView): string {
  if (fleet === undefined || fleet.instances === 0) return 'no instance has told of this migration'
  const { instances, drained, lapsed } = fleet
  const more =
    lapsed.length === 0
      ? ''
      : `; not heard of: ${lapsed.slice(0, 5).join(', ')}${lapsed.length > 5 ? ', …' : ''}`
  return `${drained} of ${instances} instances drained epoch ${state.epoch}${more}`
}

/** Those that are breached, and how many cannot tell. */
function tripwiresText({ tripwires }: MigrationView): string {
  const verdicts = tripwires?.verdicts ?? []
  const of = (outcome: string) => verdicts.filter((verdict) => verdict.outcome === outcome)
  const breached = of('breach').map(({ explanation }) => explanation)
  const unclear = of('inconclusive').length
  const quiet = unclear === 0 ? 'quiet' : `${verdicts.length - unclear} quiet, ${unclear} cannot tell yet`
  return breached.length > 0 ? breached.join(' ') : quiet
}

/** What a person wants to know of one migration, at a glance. */
export function statusText(view: MigrationView, paint: Paint): string {
  const { id, state, gate } = view
  const width = Math.max(id.length, 9) + 2
  const line = (name: string, text: string): string => `${name.padEnd(width)}${plain(text)}`
  const head = `${phaseText(state)}   epoch ${state.epoch}   ${flagsText(view)}`
  const lines = [paint.bold(line(id, head)), line('fleet', fleetText(view))]
  if ((view.tripwires?.verdicts.length ?? 0) > 0) lines.push(line('tripwires', tripwiresText(view)))
  for (const reason of view.tripwires?.autopilotHeldBy ?? []) lines.push(paint.yellow(line('held', reason)))
  const work = presentWork(view)
  if (work !== undefined) lines.push(line('work', workText(work)))
  else if (state.work !== undefined) lines.push(line('work', `${state.work.kind} ${state.work.status}`))
  if (state.latch !== undefined) {
    const incident = state.latch.incident === undefined ? '' : ` (${state.latch.incident})`
    lines.push(
      paint.red(line('latched', `${state.latch.reason}${incident}; switchback rearm ${id} to go on`)),
    )
  }
  const left = leftByRollback(view)
  if (left.length > 0) {
    const more = `switchback drift ${id} to see or accept it`
    lines.push(paint.yellow(line('rollback', `not as before expand: ${left.join('; ')}. ${more}`)))
  }
  if (state.pending !== undefined)
    lines.push(line('pending', `back to ${state.pending.to} as soon as it is safe`))
  if (state.paused) lines.push(paint.yellow(line('paused', `switchback pause ${id} --off to go on`)))
  if (gate !== undefined) {
    const open = gate.open ? paint.green('gate open') : paint.yellow('gate closed')
    const next = gate.next.kind === 'none' ? nextText(gate.next) : `${nextText(gate.next)}; ${open}`
    lines.push(`${'next'.padEnd(width)}${next}        ${wayBack(state)}`)
    if (gate.blockers.length > 0) lines.push('', blockersText(gate.blockers, paint))
  }
  return lines.join('\n')
}

/** One line each. */
export function migrationsText(views: readonly MigrationView[], paint: Paint): string {
  if (views.length === 0) return 'No migrations. Register one: switchback migrations register <folder>'
  return table(
    ['id', 'phase', 'epoch', 'flags', 'note', 'title'],
    views.map((view) => {
      const { state } = view
      const notes = [
        ...(state.latch === undefined ? [] : ['latched']),
        ...(state.paused ? ['paused'] : []),
        ...(state.work === undefined || state.work.status === 'done'
          ? []
          : [`${state.work.kind} ${state.work.status}`]),
      ]
      return [view.id, phaseText(state), String(state.epoch), flagsText(view), notes.join(', '), view.title]
    }),
    paint,
  )
}
