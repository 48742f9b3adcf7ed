import { Link } from 'wouter'
import { useRead } from '../api/use-api.ts'
import { Icon } from '../ui/icon.tsx'
import { Ago } from '../ui/time.tsx'

const SHOWN = 3

/** What has gone wrong and is not done with yet, above everything else. */
export function OpenIncidents() {
  const { data } = useRead('GET /v1/incidents', { query: { status: 'open', limit: 100 } })
  const incidents = data?.incidents ?? []
  if (incidents.length === 0) return null
  return (
    <section className="open-incidents figures" aria-label="Open incidents">
      <ul>
        {incidents.slice(0, SHOWN).map((incident) => (
          <li key={incident.id}>
            <Icon name="incident" />
            <Link href={`/incidents/${incident.id}`}>{incident.title}</Link>
            <span className="small second nowrap">
              {incident.from.phase} → {incident.to.phase}, <Ago at={incident.openedAt} />
            </span>
          </li>
        ))}
      </ul>
      {incidents.length > SHOWN && (
        <Link href="/incidents" className="small">
          And {incidents.length - SHOWN} more open
        </Link>
      )}
    </section>
  )
}
