import type { Db, Queryable } from '../db/db.ts'
import { incidentsOf } from '../incidents/incident-store.ts'
import type { Channel } from './channel-store.ts'
import { listChannels } from './channel-store.ts'
import type { Escalations } from './escalations.ts'
import type { Notice } from './notice.ts'
import { PAGES } from './notice.ts'
import { type AuditEntry, noticeOfAudit, noticeOfEvent } from './notices-of.ts'
import { enqueue } from './outbox-store.ts'

export interface CollectDeps {
  readonly db: Db
  readonly clock: () => number
  readonly newId: (prefix: string) => string
  readonly escalations: Escalations
  readonly linksOf: (about: { readonly migration: string; readonly incident?: string }) => Notice['links']
}

const AT_ONCE = 100
const AUDITED = ['work.failed', 'work.done', 'migration.paused']

const isFor = (channel: Channel, { kind, migration }: Notice): boolean =>
  (channel.events === undefined || channel.events.includes(kind)) &&
  (channel.migrations === undefined || (migration !== undefined && channel.migrations.includes(migration)))

/**
 * Finds what is to be told in what is written down anyway: timelines of incidents and the audit log. What was
 * looked at is marked in the transaction that queues it, so nothing is forgotten by a crash, and nothing told twice.
 *
 * @returns how many entries were looked at
 */
export function createCollect({
  db,
  clock,
  newId,
  escalations,
  linksOf,
}: CollectDeps): () => Promise<number> {
  async function tell(tx: Queryable, key: string, notice: Notice): Promise<void> {
    const channels = await listChannels(tx)
    for (const channel of channels.filter((each) => isFor(each, notice))) {
      await enqueue(
        tx,
        { id: newId('ntf'), key: `${key}:${channel.id}`, channel: channel.id, notice },
        clock(),
      )
    }
    if (PAGES.has(notice.kind)) await escalations.begin(tx, notice)
    if (notice.kind === 'work-failed') await escalations.callFirst(tx, key, notice)
    if (notice.kind === 'resolved' || notice.kind === 'acknowledged') await escalations.end(tx, key, notice)
  }

  async function fromTimelines(): Promise<number> {
    return await db.tx(async (tx) => {
      const { rows } = await tx.query<{
        incident: string
        seq: number
        at: Date
        kind: string
        message: string
      }>(
        `update incident_events e set noticed = true from (
           select incident, seq from incident_events where not noticed order by seq limit $1
           for update skip locked) due
         where e.incident = due.incident and e.seq = due.seq
         returning e.incident, e.seq, e.at, e.kind, e.message`,
        [AT_ONCE],
      )
      const incidents = await incidentsOf(tx, [...new Set(rows.map((row) => row.incident))])
      for (const row of [...rows].sort((a, b) => a.seq - b.seq)) {
        const incident = incidents.get(row.incident)
        if (incident === undefined) continue
        const links = linksOf({ migration: incident.migration, incident: incident.id })
        const notice = noticeOfEvent(incident, { ...row, at: row.at.getTime() }, links)
        if (notice !== undefined) await tell(tx, `event:${row.seq}`, notice)
      }
      return rows.length
    })
  }

  async function fromAudit(): Promise<number> {
    return await db.tx(async (tx) => {
      const cursor = await tx.query<{ revision: number }>(
        'select revision from notice_cursor for update skip locked',
      )
      const from = cursor.rows[0]?.revision
      if (from === undefined) return 0
      const { rows } = await tx.query<Omit<AuditEntry, 'at'> & { revision: number; at: Date }>(
        `select revision, at, actor, kind, subject, detail from audit_events
         where revision > $1 order by revision limit $2`,
        [from, AT_ONCE],
      )
      for (const row of rows) {
        if (!AUDITED.includes(row.kind) || row.subject === null) continue
        const links = linksOf({ migration: row.subject })
        const notice = noticeOfAudit({ ...row, at: row.at.getTime() }, links)
        if (notice !== undefined) await tell(tx, `audit:${row.revision}`, notice)
      }
      const last = rows.at(-1)?.revision
      if (last !== undefined) await tx.query('update notice_cursor set revision = $1', [last])
      return rows.length
    })
  }

  return async () => (await fromTimelines()) + (await fromAudit())
}
