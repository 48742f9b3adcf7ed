import type { Change, Snapshot } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import { CONTENT_REVISION, configOfRow, type MigrationRow } from './snapshots.ts'

/** How far a server has told its clients. */
export interface Cursor {
  /** Revision of `head`, which every change raises. */
  readonly head: number
  /** Revision of what instances are told of. */
  readonly content: number
}

interface AuditEntry {
  readonly kind: string
  readonly subject: string | null
}

export interface News {
  readonly cursor: Cursor
  /** Undefined where nothing changed that instances are told of. */
  readonly change: Change | undefined
  readonly events: readonly AuditEntry[]
}

export async function readCursor(db: Queryable): Promise<Cursor> {
  const { rows } = await db.query<{ head: number; content: number }>(
    `select (select revision from head)::float8 as head, ${CONTENT_REVISION} as content`,
  )
  const row = rows[0]
  if (row === undefined) throw new Error('the store gave no revision')
  return row
}

/** What happened since; one statement, so that it is the whole of what happened up to one revision. */
export async function readNews(db: Queryable, since: Cursor): Promise<News> {
  const { rows } = await db.query<{
    head: number
    content: number
    migrations: readonly MigrationRow[]
    flags: Snapshot['flags']
    removed: readonly { readonly kind: 'migration' | 'flag'; readonly key: string }[]
    events: readonly AuditEntry[]
  }>(
    `select (select revision from head)::float8 as head, ${CONTENT_REVISION} as content,
       (select coalesce(json_agg(json_build_object('definition', definition, 'state', state) order by id), '[]')
        from migrations where revision > $1) as migrations,
       (select coalesce(json_agg(definition order by key), '[]') from flags where revision > $1) as flags,
       (select coalesce(json_agg(json_build_object('kind', kind, 'key', key)), '[]')
        from removals where revision > $1) as removed,
       (select coalesce(json_agg(json_build_object('kind', kind, 'subject', subject) order by revision), '[]')
        from audit_events where revision > $2) as events`,
    [since.content, since.head],
  )
  const row = rows[0]
  if (row === undefined) throw new Error('the store gave no news')
  const { head, content, migrations, flags, removed, events } = row
  const keysOf = (kind: 'migration' | 'flag') => removed.filter((r) => r.kind === kind).map((r) => r.key)
  const change: Change = {
    since: since.content,
    revision: content,
    migrations: migrations.map(configOfRow),
    flags,
    removedMigrations: keysOf('migration'),
    removedFlags: keysOf('flag'),
  }
  return { cursor: { head, content }, change: content > since.content ? change : undefined, events }
}
