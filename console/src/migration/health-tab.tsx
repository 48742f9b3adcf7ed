import { lazy, type ReactNode, Suspense } from 'react'
import type { Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { Nothing } from '../shell/page.tsx'
import { Chip } from '../ui/chip.tsx'
import { count, latency, percent } from '../ui/format.ts'
import { Trouble } from '../ui/notice.tsx'
import { Ago } from '../ui/time.tsx'
import type { Detail } from './migration-page.tsx'
import { Tripwires } from './tripwires.tsx'
import './data.css'
import './health.css'

// Drawing is a part of its own: nobody waits for it who does not look at charts.
const Chart = lazy(() => import('../ui/chart.tsx'))

type Point = Schema<'Health'>['points'][number]

const LOOK_MS = 5_000

interface Limit {
  readonly watch: string
  readonly path?: string
  readonly above?: number | { readonly timesOld: number }
}

/** Error rate and latency of both paths on one plot each, the tripwires as lines across them. */
export function HealthTab({ migration }: { readonly migration: Detail }) {
  const { id } = migration
  const { data, error } = useRead('GET /v1/migrations/{id}/health', { params: { id } }, { every: LOOK_MS })
  if (data === undefined) return <Trouble error={error} />
  const { points } = data
  const tripwires = (migration.definition.tripwires ?? []) as readonly Limit[]
  const limitOf = (watch: string): number | undefined =>
    tripwires.flatMap(({ watch: of, above }) => (of === watch && typeof above === 'number' ? [above] : []))[0]
  const timesOld = tripwires.flatMap(({ watch, above }) =>
    watch === 'latency-p99' && typeof above === 'object' ? [above.timesOld] : [],
  )[0]
  const last = points.at(-1)
  const times = points.map((point) => point.at)
  const epochs = points.flatMap((point, index) => {
    const before = points[index - 1]
    return before !== undefined && before.epoch !== point.epoch ? [{ at: point.at, epoch: point.epoch }] : []
  })
  return (
    <div className="stack">
      {points.length === 0 ? (
        <Nothing title="Nothing measured yet">
          Instances tell what they measure once they route operations of this migration.
        </Nothing>
      ) : (
        <div className="charts">
          <ChartCard title="Error rate" last={last} shown={(of) => percent(of.errorRate)}>
            <Suspense fallback={<div className="chart-place" />}>
              <Chart
                label={`Error rate of ${id}: old and new`}
                times={times}
                old={points.map((point) => point.old?.errorRate ?? null)}
                fresh={points.map((point) => point.new?.errorRate ?? null)}
                limit={limitOf('error-rate')}
                epochs={epochs}
                format="ratio"
              />
            </Suspense>
          </ChartCard>
          <ChartCard
            title="Latency, p99"
            last={last}
            shown={(of) => (of.p99Ms === undefined ? 'no figure' : latency(of.p99Ms))}
          >
            <Suspense fallback={<div className="chart-place" />}>
              <Chart
                label={`Latency of ${id}: old and new`}
                times={times}
                old={points.map((point) => point.old?.p99Ms ?? null)}
                fresh={points.map((point) => point.new?.p99Ms ?? null)}
                limits={
                  timesOld === undefined
                    ? undefined
                    : points.map((point) =>
                        point.old?.p99Ms === undefined ? null : point.old.p99Ms * timesOld,
                      )
                }
                epochs={epochs}
                format="ms"
              />
            </Suspense>
          </ChartCard>
        </div>
      )}
      {points.length > 0 && <Compared points={points} />}
      <Tripwires migration={id} />
    </div>
  )
}

function ChartCard(props: {
  readonly title: string
  readonly last: Point | undefined
  readonly shown: (of: NonNullable<Point['old']>) => string
  readonly children: ReactNode
}) {
  const { title, last, shown, children } = props
  const text = (of: Point['old']) =>
    of === undefined ? 'idle' : `${shown(of)} of ${count(of.operations)} operations`
  return (
    <figure className="chart-card">
      <figcaption>
        <h3>{title}</h3>
        {last !== undefined && (
          <p className="small row">
            <Chip tone="old" icon="dot">
              old
            </Chip>
            {text(last.old)}
            <Chip tone="new" icon="dot">
              new
            </Chip>
            {text(last.new)}
            <span className="muted">
              <Ago at={last.at} />
            </span>
          </p>
        )}
      </figcaption>
      {children}
    </figure>
  )
}

function Compared({ points }: { readonly points: readonly Point[] }) {
  const sum = (of: (point: Point) => number) => points.reduce((total, point) => total + of(point), 0)
  const compared = sum((point) => point.compared)
  const mismatches = sum((point) => point.mismatches)
  return (
    <dl className="figures-row">
      <div>
        <dt>compared</dt>
        <dd>{count(compared)} reads</dd>
      </div>
      <div>
        <dt>mismatches</dt>
        <dd>
          {count(mismatches)}
          {compared > 0 && ` (${percent(mismatches / compared)})`}
        </dd>
      </div>
      <div>
        <dt>writes that failed on the other path</dt>
        <dd>{count(sum((point) => point.secondaryFailures))}</dd>
      </div>
    </dl>
  )
}
