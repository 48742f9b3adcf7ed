import { Link } from 'wouter'
import type { Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { RevertButton } from '../revert/revert-provider.tsx'
import { Page } from '../shell/page.tsx'
import { clockTime } from '../ui/format.ts'
import { Trouble } from '../ui/notice.tsx'
import { Moment } from '../ui/time.tsx'
import { IncidentActions } from './incident-actions.tsx'
import { IncidentStatus } from './incidents-page.tsx'
import { StageLine } from './stage-line.tsx'
import '../audit/audit.css'
import './incidents.css'

const LOOK_MS = 5_000

export function IncidentPage({ id }: { readonly id: string }) {
  const { data, error } = useRead('GET /v1/incidents/{id}', { params: { id } }, { every: LOOK_MS })
  if (data === undefined) {
    return (
      <Page title="Incident">
        <Trouble error={error} />
      </Page>
    )
  }
  return (
    <Page
      title={data.title}
      about={
        <>
          <Link href="/incidents">Incidents</Link> <span className="muted">/ {id}</span>
        </>
      }
      actions={
        <div className="row">
          <RevertFurther migration={data.migration} />
          <IncidentActions incident={data} />
        </div>
      }
    >
      <div className="stack figures">
        <section className="card" aria-label="In short">
          <div className="body incident-facts">
            <dl className="facts">
              <dt>Status</dt>
              <dd>
                <IncidentStatus incident={data} />
              </dd>
              <dt>Migration</dt>
              <dd>
                <Link href={`/migrations/${data.migration}`}>{data.migration}</Link>
              </dd>
              <dt>Way</dt>
              <dd>
                {data.from.phase} (epoch {data.from.epoch}) → {data.to.phase} (epoch {data.to.epoch})
              </dd>
              <dt>Cause</dt>
              <dd>
                {data.cause.kind}, by {data.cause.by}: {data.cause.reason}
              </dd>
              <dt>Opened</dt>
              <dd>
                <Moment at={data.openedAt} />
              </dd>
              {data.resolvedAt !== undefined && (
                <>
                  <dt>Resolved</dt>
                  <dd>
                    <Moment at={data.resolvedAt} />
                  </dd>
                </>
              )}
            </dl>
            <StageLine incident={data} />
          </div>
        </section>
        <section className="card" aria-labelledby="timeline">
          <header>
            <h2 id="timeline">Timeline</h2>
          </header>
          <div className="body">
            <Timeline events={data.timeline} />
          </div>
        </section>
      </div>
    </Page>
  )
}

function Timeline({ events }: { readonly events: Schema<'IncidentDetail'>['timeline'] }) {
  const began = events[0]?.at ?? 0
  return (
    <ol className="events">
      {events.map((event) => (
        <li
          key={`${event.at} ${event.kind} ${event.message}`}
          className={`event ${TONES[event.kind] ?? 'idle'}`}
        >
          <i aria-hidden="true" />
          <div className="stack-s">
            <strong>{event.message}</strong>
            <span className="small muted">
              {event.kind} · {clockTime(event.at)}
              {event.at > began &&
                `, ${event.at - began < 10_000 ? `${event.at - began} ms` : `${Math.round((event.at - began) / 1000)} s`} after the first`}
            </span>
          </div>
        </li>
      ))}
    </ol>
  )
}

const TONES: Readonly<Record<string, string>> = {
  reverted: 'bad',
  'reverted-further': 'bad',
  'alert-received': 'info',
  'last-ack': 'ok',
  rearmed: 'ok',
  'rolled-back': 'ok',
}

/** The migration may have to go back further still. */
function RevertFurther({ migration }: { readonly migration: string }) {
  const { data } = useRead('GET /v1/overview', { query: { search: migration, limit: 200 } })
  const row = data?.migrations.find(({ id }) => id === migration)
  if (row === undefined) return null
  return <RevertButton migration={migration} phase={row.phase} revertsTo={row.revertsTo} />
}
