import { useState } from 'react'
import { Link } from 'wouter'
import type { Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { Nothing, Page } from '../shell/page.tsx'
import { Chip } from '../ui/chip.tsx'
import { duration } from '../ui/format.ts'
import { Trouble } from '../ui/notice.tsx'
import { Moment } from '../ui/time.tsx'
import './incidents.css'

const SHOWN = [
  { key: undefined, name: 'All' },
  { key: 'open', name: 'Open' },
  { key: 'resolved', name: 'Resolved' },
] as const

/** Every revert, as it is told afterwards. */
export function IncidentsPage() {
  const [status, setStatus] = useState<'open' | 'resolved'>()
  const { data, error } = useRead('GET /v1/incidents', { query: { status, limit: 200 } })
  return (
    <Page title="Incidents" about="Each revert: what caused it, how long it took, and whether it is over.">
      <div className="stack figures">
        <fieldset className="choices">
          <legend className="hidden-text">Show incidents</legend>
          {SHOWN.map(({ key, name }) => (
            <button key={name} type="button" aria-pressed={status === key} onClick={() => setStatus(key)}>
              {name}
            </button>
          ))}
        </fieldset>
        <Trouble error={data === undefined ? error : undefined} />
        {data !== undefined && (
          <section className="card" aria-label="Incidents">
            {data.incidents.length === 0 ? (
              <Nothing title="No incident">Reverts by alerts, tripwires and people appear here.</Nothing>
            ) : (
              <ul className="incidents">
                {data.incidents.map((incident) => (
                  <IncidentRow key={incident.id} incident={incident} />
                ))}
              </ul>
            )}
          </section>
        )}
      </div>
    </Page>
  )
}

function IncidentRow({ incident }: { readonly incident: Schema<'Incident'> }) {
  const { id, title, from, to, openedAt, cause, committedAt, lastAckAt } = incident
  const took =
    committedAt === undefined || lastAckAt === undefined
      ? undefined
      : lastAckAt - (incident.alertedAt ?? committedAt)
  return (
    <li>
      <div className="stack-s">
        <Link href={`/incidents/${id}`} className="incident-title">
          {title}
        </Link>
        <p className="small second">
          {from.phase} → {to.phase}, epoch {to.epoch} · {cause.kind} by {cause.by} · <Moment at={openedAt} />
        </p>
      </div>
      <span className="small nowrap">
        {took === undefined ? (
          <span className="muted">acks not all in</span>
        ) : (
          `all instances in ${duration(Math.max(0, took))}`
        )}
      </span>
      <IncidentStatus incident={incident} />
    </li>
  )
}

export const IncidentStatus = ({ incident }: { readonly incident: Schema<'Incident'> }) =>
  incident.status === 'open' ? (
    <Chip tone="bad" icon="incident">
      {incident.kind === 'refused' ? 'Refused, open' : 'Open'}
    </Chip>
  ) : (
    <Chip tone="ok" icon="check">
      Resolved
    </Chip>
  )
