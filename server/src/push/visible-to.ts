import type { Change, Snapshot } from '@switchback/migrations-registry'
import { inScope, type Scoped, scopeKey } from '../tokens/tokens.ts'

const narrowed = new WeakMap<Snapshot, Map<string, Snapshot>>()

/**
 * What this reader may know of a snapshot; the same object for everybody of the same scope, so that what is made
 * of it is made once. Flags belong to no migration and are told to all.
 */
export function visibleTo(reader: Scoped, snapshot: Snapshot): Snapshot {
  const key = scopeKey(reader)
  if (key === undefined) return snapshot
  const known = narrowed.get(snapshot) ?? new Map<string, Snapshot>()
  narrowed.set(snapshot, known)
  const visible = known.get(key) ?? {
    ...snapshot,
    migrations: snapshot.migrations.filter(({ id }) => inScope(reader, id)),
  }
  known.set(key, visible)
  return visible
}

/**
 * What this reader may know of a change. It is sent even where nothing is left of it: whoever did not hear of a
 * revision would take the next one for a gap, and fetch everything.
 */
export const changeVisibleTo = (reader: Scoped, change: Change): Change =>
  reader.migrations === undefined
    ? change
    : {
        ...change,
        migrations: change.migrations.filter(({ id }) => inScope(reader, id)),
        removedMigrations: change.removedMigrations.filter((id) => inScope(reader, id)),
      }
