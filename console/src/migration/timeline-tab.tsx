import { useRead } from '../api/use-api.ts'
import { EventList } from '../audit/event-list.tsx'
import { Nothing } from '../shell/page.tsx'
import type { Detail } from './migration-page.tsx'

/** Everything that was changed about this migration, by whom. */
export function TimelineTab({ migration }: { readonly migration: Detail }) {
  const { data } = useRead('GET /v1/migrations/{id}/events', {
    params: { id: migration.id },
    query: { limit: 200 },
  })
  if (data === undefined) return null
  return data.events.length === 0 ? (
    <Nothing title="Nothing has happened yet" />
  ) : (
    <EventList events={data.events} />
  )
}
