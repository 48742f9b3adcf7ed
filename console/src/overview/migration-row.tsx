import { Link } from 'wouter'
import type { Schema } from '../api/client.ts'
import { DIRECTION, nextWords, shareWords } from '../migration/words.ts'
import { RevertButton } from '../revert/revert-provider.tsx'
import { Chip } from '../ui/chip.tsx'
import { count, duration, several } from '../ui/format.ts'
import { Meter } from '../ui/meter.tsx'
import { Ago } from '../ui/time.tsx'
import { MiniLine } from './mini-line.tsx'

type Row = Schema<'OverviewRow'>

/** One migration: where it stands, which way it goes, what holds it, and the way back. */
export function MigrationRow({ row }: { readonly row: Row }) {
  const direction = DIRECTION[row.direction]
  const { fleet } = row
  return (
    <article
      className={`migration-row${row.attention ? ' attention' : ''}`}
      aria-labelledby={`row-${row.id}`}
    >
      <div className="migration-name">
        <h2 id={`row-${row.id}`}>
          <Link href={`/migrations/${row.id}`}>{row.id}</Link>
        </h2>
        <p className="small second">{row.title}</p>
        {row.team !== undefined && <p className="tiny muted">{row.team}</p>}
      </div>
      <div className="migration-phase">
        <MiniLine row={row} />
        <p className="small">
          <strong>{row.phase}</strong>
          {row.rollout !== undefined && ` ${rolloutWords(row.rollout)}`}
          <span className="muted">
            {' '}
            · epoch {row.epoch}, <Ago at={row.since} />
          </span>
        </p>
      </div>
      <div className="migration-state">
        <div className="row">
          <Chip tone={direction.tone} icon={direction.icon}>
            {direction.word}
          </Chip>
          {row.openIncidents > 0 && (
            <Chip tone="bad" icon="incident">
              {several(row.openIncidents, 'incident')}
            </Chip>
          )}
          {row.etaMs !== undefined && row.etaMs > 0 && (
            <span className="tiny muted">{duration(row.etaMs)} left</span>
          )}
        </div>
        <p className="small second held">{stateWords(row)}</p>
        {row.work?.progress.total !== undefined && row.work.progress.total > 0 && (
          <Meter
            value={row.work.progress.done ?? 0}
            max={row.work.progress.total}
            tone={row.work.progress.throttledBy === undefined ? 'plain' : 'warn'}
          />
        )}
      </div>
      <div className="migration-fleet">
        {fleet.instances === 0 ? (
          <span className="small muted">No instances</span>
        ) : (
          <>
            <span className="small">
              {count(fleet.drained)} of {count(fleet.live)} drained
            </span>
            <Meter value={fleet.drained} under={fleet.applied} max={fleet.live} />
            {fleet.instances > fleet.live && (
              <span className="tiny lapsed">{count(fleet.instances - fleet.live)} lapsed</span>
            )}
          </>
        )}
      </div>
      <div className="migration-do">
        <RevertButton migration={row.id} phase={row.phase} revertsTo={row.revertsTo} compact />
      </div>
    </article>
  )
}

const rolloutWords = ({ share, canaries }: NonNullable<Row['rollout']>): string =>
  canaries > 0 ? several(canaries, 'canary', 'canaries') : shareWords(share)

function stateWords({ work, holds, next, direction }: Row): string {
  if (work !== undefined && work.status !== 'failed') {
    const { stage, done, total, rate, throttledBy } = work.progress
    const far = done === undefined ? '' : ` ${count(done)}${total === undefined ? '' : ` of ${count(total)}`}`
    const pace = rate === undefined || rate <= 0 ? '' : `, ${count(rate)}/s`
    return `${work.kind}: ${stage ?? work.status}${far}${pace}${throttledBy === undefined ? '' : `, held by ${throttledBy}`}`
  }
  const [first, ...others] = holds
  if (first !== undefined)
    return `${first.message.replace(/\.+$/, '.')}${others.length > 0 ? ` And ${others.length} more.` : ''}`
  if (direction === 'done') return 'Nothing further to do.'
  return `Next: ${nextWords(next)}.`
}
