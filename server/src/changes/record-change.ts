import { createHash } from 'node:crypto'
import type { Queryable } from '../db/db.ts'

/** What is written down about a change, in the transaction that makes it. */
export interface ChangeRecord {
  /** Unix milliseconds. */
  readonly at: number
  /** Who: a token's name, `engine`, or `tripwire`. */
  readonly actor: string
  /** What kind, such as `migration.advanced`. */
  readonly kind: string
  /** Which migration, flag, token or instance. */
  readonly subject?: string
  readonly detail?: Readonly<Record<string, unknown>>
  /** Revisions to pass over: some that the store does not know of have been given out. */
  readonly leap?: number
}

/**
 * Takes the next revision and writes the audit event that belongs to it. The lock on `head` puts changes
 * into commit order, so that a reader that has seen revision n has seen all below it.
 *
 * @returns the new revision
 */
export async function recordChange(tx: Queryable, change: ChangeRecord): Promise<number> {
  const { rows } = await tx.query<{ revision: number; audit_hash: string }>(
    'update head set revision = revision + 1 + $1 returning revision, audit_hash',
    [change.leap ?? 0],
  )
  const head = rows[0]
  if (head === undefined) throw new Error('the store has no head row')
  const detail = JSON.stringify(change.detail ?? {})
  const at = new Date(change.at).toISOString()
  const hash = auditHash(head.audit_hash, {
    revision: head.revision,
    at,
    actor: change.actor,
    kind: change.kind,
    subject: change.subject ?? null,
    detail,
  })
  await tx.query(
    `insert into audit_events (revision, at, actor, kind, subject, detail, previous_hash, hash)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [head.revision, at, change.actor, change.kind, change.subject ?? null, detail, head.audit_hash, hash],
  )
  await tx.query('update head set audit_hash = $1', [hash])
  return head.revision
}

interface HashedEvent {
  readonly revision: number
  readonly at: string
  readonly actor: string
  readonly kind: string
  readonly subject: string | null
  readonly detail: string
}

/** Hash of an audit event, chained to the one before it: altering or removing one breaks all that follow. */
export function auditHash(previous: string, event: HashedEvent): string {
  const { revision, at, actor, kind, subject, detail } = event
  return createHash('sha256')
    .update(JSON.stringify([previous, revision, at, actor, kind, subject, detail]))
    .digest('hex')
}
