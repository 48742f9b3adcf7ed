import { auditHash } from '../changes/record-change.ts'
import type { Db, Queryable } from '../db/db.ts'

/** One change, as it was written down in the transaction that made it. */
interface AuditEvent {
  readonly revision: number
  readonly at: number
  readonly actor: string
  readonly kind: string
  readonly subject?: string
  readonly detail: Readonly<Record<string, unknown>>
  readonly hash: string
}

interface EventFilter {
  /** Only events after this revision. */
  readonly since?: number
  readonly before?: number
  readonly subject?: string
  /** Only what concerns these migrations. */
  readonly scope?: readonly string[]
  readonly order: 'asc' | 'desc'
  readonly limit: number
}

type Verification =
  | { readonly ok: true; readonly events: number; readonly hash: string }
  | {
      readonly ok: false
      readonly events: number
      /** Revision at which the chain is broken. */
      readonly brokenAt: number
      readonly problem: string
    }

export interface Audit {
  events(filter: EventFilter): Promise<readonly AuditEvent[]>
  /** Walks the whole chain: altered, removed, added and cut-off events are found. */
  verify(): Promise<Verification>
}

interface Row {
  readonly revision: number
  readonly at: Date
  readonly actor: string
  readonly kind: string
  readonly subject: string | null
  readonly detail: string
  readonly previous_hash: string
  readonly hash: string
}

/** First words of the kinds whose subject is a migration, or an incident of one. */
const OF_MIGRATIONS = ['migration', 'work', 'fence', 'revert', 'incident', 'tripwire', 'schema', 'archive']

const BATCH = 1000
const COLUMNS = 'revision, at, actor, kind, subject, detail::text as detail, previous_hash, hash'

export function createAudit({ db }: { readonly db: Db }): Audit {
  return {
    events: async ({ since, before, subject, scope, order, limit }) => {
      const { rows } = await db.query<Row>(
        `select ${COLUMNS} from audit_events
         where ($1::bigint is null or revision > $1) and ($2::bigint is null or revision < $2)
           and ($3::text is null or subject = $3)
           and ($5::text[] is null or (split_part(kind, '.', 1) = any($6)
             and subject = any($5 || array(select id from incidents where migration = any($5)))))
         order by revision ${order === 'asc' ? 'asc' : 'desc'} limit $4`,
        [since ?? null, before ?? null, subject ?? null, limit, scope ?? null, OF_MIGRATIONS],
      )
      return rows.map((row) => ({
        revision: row.revision,
        at: row.at.getTime(),
        actor: row.actor,
        kind: row.kind,
        ...(row.subject === null ? {} : { subject: row.subject }),
        detail: JSON.parse(row.detail) as Record<string, unknown>,
        hash: row.hash,
      }))
    },
    verify: () =>
      db.tx(async (tx) => {
        // The head and the events must be of one moment, or a change in between looks like a forgery.
        await tx.query('set transaction isolation level repeatable read, read only')
        return walk(tx)
      }),
  }
}

async function walk(tx: Queryable): Promise<Verification> {
  let revision = 0
  let events = 0
  let previous = '0'.repeat(64)
  for (;;) {
    const { rows } = await tx.query<Row>(
      `select ${COLUMNS} from audit_events where revision > $1 order by revision limit ${BATCH}`,
      [revision],
    )
    for (const row of rows) {
      const broken = (problem: string): Verification => ({
        ok: false,
        events,
        brokenAt: row.revision,
        problem,
      })
      // Numbers alone prove nothing: a store that was restored passes over those it may have given out before.
      if (row.previous_hash !== previous) {
        const isNext = row.revision === revision + 1
        return broken(
          isNext
            ? 'it does not follow from the event before it'
            : `revision ${revision + 1} is missing, or one after it`,
        )
      }
      const event = { ...row, at: row.at.toISOString() }
      if (auditHash(previous, event) !== row.hash) return broken('its content is not what was written down')
      revision = row.revision
      previous = row.hash
      events += 1
    }
    if (rows.length < BATCH) break
  }
  const { rows } = await tx.query<{ revision: number; audit_hash: string }>(
    'select revision, audit_hash from head',
  )
  const head = rows[0]
  if (head?.revision !== revision || head.audit_hash !== previous) {
    const problem = `the head speaks of revision ${head?.revision ?? 'none'}, the last event is ${revision}`
    return { ok: false, events, brokenAt: revision, problem }
  }
  return { ok: true, events, hash: previous }
}
