import { lazy, type ReactNode, Suspense, useState } from 'react'
import { useRead } from '../api/use-api.ts'
import { Nothing } from '../shell/page.tsx'
import type { ChartProps } from '../ui/chart.tsx'
import { Chip } from '../ui/chip.tsx'
import { count, latency, percent, several } from '../ui/format.ts'
import { Trouble } from '../ui/notice.tsx'
import { Ago, Moment } from '../ui/time.tsx'
import { type HealthPoint, limitLine, RANGES, withGaps } from './health-points.ts'
import type { Detail } from './migration-page.tsx'
import { Tripwires } from './tripwires.tsx'
import './data.css'
import './health.css'

// Drawing is a part of its own: nobody waits for it who does not look at charts.
const Chart = lazy(() => import('../ui/chart.tsx'))

const LOOK_MS = 5_000
const LONG_LOOK_MS = 60_000

/** Error rate, latency and mismatches over time, the tripwires as lines across them. */
export function HealthTab({ migration }: { readonly migration: Detail }) {
  const { id } = migration
  const [minutes, setMinutes] = useState<number>(RANGES[0].minutes)
  const { data, error } = useRead(
    'GET /v1/migrations/{id}/health',
    { params: { id }, query: { minutes } },
    { every: minutes <= 60 ? LOOK_MS : LONG_LOOK_MS },
  )
  if (data === undefined) return <Trouble error={error} />
  const { points, changes } = data
  const slots = withGaps(data)
  const tripwires = (migration.definition.tripwires ?? []) as Parameters<typeof limitLine>[0]
  const last = points.at(-1)
  const common = {
    times: slots.map(({ at }) => at),
    from: data.at - minutes * 60_000,
    to: data.at,
    marks: changes,
  }
  return (
    <div className="stack">
      <fieldset className="choices">
        <legend className="hidden-text">How far back</legend>
        {RANGES.map((range) => (
          <button
            key={range.minutes}
            type="button"
            aria-pressed={range.minutes === minutes}
            onClick={() => setMinutes(range.minutes)}
          >
            {range.name}
          </button>
        ))}
      </fieldset>
      {last === undefined ? (
        <Nothing title="Nothing measured in this time">
          Instances tell what they measure once they route operations of this migration.
        </Nothing>
      ) : (
        <>
          <div className="charts">
            <ChartCard
              title="Error rate"
              latest={<BothPaths last={last} shown={(of) => percent(of.errorRate)} />}
              chart={{
                ...common,
                label: `Error rate of ${id}: old and new`,
                old: slots.map((slot) => slot.old?.errorRate ?? null),
                fresh: slots.map((slot) => slot.new?.errorRate ?? null),
                limits: limitLine(tripwires, 'error-rate', slots, (slot) => slot.old?.errorRate),
                format: 'ratio',
              }}
            />
            <ChartCard
              title="Latency, p99"
              latest={
                <BothPaths
                  last={last}
                  shown={(of) => (of.p99Ms === undefined ? 'no figure' : latency(of.p99Ms))}
                />
              }
              chart={{
                ...common,
                label: `Latency of ${id}: old and new`,
                old: slots.map((slot) => slot.old?.p99Ms ?? null),
                fresh: slots.map((slot) => slot.new?.p99Ms ?? null),
                limits: limitLine(tripwires, 'latency-p99', slots, (slot) => slot.old?.p99Ms),
                format: 'ms',
              }}
            />
            <ChartCard
              title="Mismatches of shadow reads"
              latest={<Compared points={points} />}
              chart={{
                ...common,
                label: `Share of compared reads of ${id} that differed`,
                fresh: slots.map(({ compared = 0, mismatches = 0 }) =>
                  compared === 0 ? null : mismatches / compared,
                ),
                limits: limitLine(tripwires, 'mismatch-rate', slots, () => undefined),
                format: 'ratio',
              }}
            />
          </div>
          <Legend />
        </>
      )}
      {changes.length > 0 && (
        <details className="small">
          <summary>{several(changes.length, 'change')} of the epoch in this time</summary>
          <ul className="changes">
            {changes.map(({ at, epoch, phase, revert }) => (
              <li key={epoch}>
                <Moment at={at} /> epoch {epoch}: <strong>{phase}</strong>
                {revert && ' by a revert'}
              </li>
            ))}
          </ul>
        </details>
      )}
      <Tripwires migration={id} />
    </div>
  )
}

function ChartCard(props: {
  readonly title: string
  readonly latest: ReactNode
  readonly chart: ChartProps
}) {
  const { title, latest, chart } = props
  return (
    <figure className="chart-card">
      <figcaption>
        <h3>{title}</h3>
        {latest}
      </figcaption>
      <Suspense fallback={<div className="chart-place" />}>
        <Chart {...chart} />
      </Suspense>
    </figure>
  )
}

/** The latest figures of both, as text. */
function BothPaths({
  last,
  shown,
}: {
  readonly last: HealthPoint
  readonly shown: (of: NonNullable<HealthPoint['old']>) => string
}) {
  const text = (of: HealthPoint['old']) =>
    of === undefined ? 'idle' : `${shown(of)} of ${count(of.operations)} operations`
  return (
    <div className="stack-s small">
      <p className="row">
        <Chip tone="old" icon="dot">
          old
        </Chip>
        {text(last.old)}
      </p>
      <p className="row">
        <Chip tone="new" icon="dot">
          new
        </Chip>
        {text(last.new)}
        <span className="muted">
          <Ago at={last.at} />
        </span>
      </p>
    </div>
  )
}

function Compared({ points }: { readonly points: readonly HealthPoint[] }) {
  const sum = (of: (point: HealthPoint) => number) => points.reduce((total, point) => total + of(point), 0)
  const compared = sum((point) => point.compared)
  const mismatches = sum((point) => point.mismatches)
  return (
    <p className="small">
      <b>{count(mismatches)}</b> of {count(compared)} compared reads differed
      {compared > 0 && mismatches > 0 && ` (${percent(mismatches / compared)})`};{' '}
      <b>{count(sum((point) => point.secondaryFailures))}</b> writes failed on the other path.
    </p>
  )
}

const Legend = () => (
  <p className="chart-legend tiny second">
    <span>
      <i className="line old" /> old
    </span>
    <span>
      <i className="line new" /> new
    </span>
    <span>
      <i className="line limit" /> tripwire
    </span>
    <span>
      <i className="line mark" /> change of the epoch
    </span>
  </p>
)
