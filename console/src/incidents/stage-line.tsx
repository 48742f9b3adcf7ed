import type { Schema } from '../api/client.ts'
import { duration } from '../ui/format.ts'

interface Stage {
  readonly name: string
  readonly at: number
}

/** From what was noticed to the last instance: each stage as long as it took. */
export function StageLine({ incident }: { readonly incident: Schema<'IncidentDetail'> }) {
  const stages = stagesOf(incident)
  const first = stages[0]
  const last = stages.at(-1)
  if (first === undefined || last === undefined || stages.length < 2) return null
  const whole = Math.max(1, last.at - first.at)
  const parts = stages.slice(1).map((stage, index) => ({
    ...stage,
    took: Math.max(0, stage.at - (stages[index]?.at ?? stage.at)),
  }))
  return (
    <figure className="stage-line">
      <figcaption className="spread">
        <strong>{duration(whole)} in all</strong>
        <span className="small muted">
          from “{first.name}” to “{last.name}”
        </span>
      </figcaption>
      <div className="stage-bar" aria-hidden="true">
        {parts.map(({ name, took }, index) => (
          <span
            key={name}
            className={`part-${index % 4}`}
            style={{ flexGrow: Math.max(took / whole, 0.015) }}
          />
        ))}
      </div>
      <ol className="small">
        {parts.map(({ name, took }, index) => (
          <li key={name}>
            <i className={`part-${index % 4}`} aria-hidden="true" />
            {name} <strong>{took === 0 ? '< 1 ms' : `+${duration(took)}`}</strong>
          </li>
        ))}
      </ol>
    </figure>
  )
}

/** Moments in the order in which they came. */
export function stagesOf(incident: Schema<'IncidentDetail'>): readonly Stage[] {
  const { timeline, alertedAt, committedAt, firstAckAt, lastAckAt, openedAt } = incident
  const decided = timeline.find(({ kind }) => kind === 'decided')?.at
  const named: readonly (readonly [string, number | undefined])[] = [
    ['alert received', alertedAt],
    ['asked for', alertedAt === undefined ? openedAt : undefined],
    ['decided', decided],
    ['committed', committedAt],
    ['first instance', firstAckAt],
    ['last instance', lastAckAt],
  ]
  return named.flatMap(([name, at]) => (at === undefined ? [] : [{ name, at }])).sort((a, b) => a.at - b.at)
}
