import type { Answer } from '../api/client.ts'
import { Moment } from '../ui/time.tsx'
import { eventWords, toneOf } from './event-words.ts'
import './audit.css'

export type AuditEvent = Answer<'GET /v1/events'>['events'][number]

/** Changes in the order of their commits, each with who made it and what it changed. */
export function EventList({ events }: { readonly events: readonly AuditEvent[] }) {
  return (
    <ol className="events">
      {events.map((event) => (
        <li key={event.revision}>
          <EventItem event={event} />
        </li>
      ))}
    </ol>
  )
}

export function EventItem({ event }: { readonly event: AuditEvent }) {
  return (
    <div className={`event ${toneOf(event.kind)}`}>
      <i aria-hidden="true" />
      <div className="stack-s">
        <p>
          <strong>{eventWords(event)}</strong>{' '}
          <span className="small muted">
            by {event.actor} · <Moment at={event.at} />
          </span>
        </p>
        <details className="small">
          <summary>
            <code>{event.kind}</code> · revision {event.revision}
          </summary>
          <pre className="code-block">{JSON.stringify(event.detail, null, 2)}</pre>
        </details>
      </div>
    </div>
  )
}
