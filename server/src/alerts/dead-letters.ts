import type { IncomingHttpHeaders } from 'node:http'
import type { Signal } from '@switchback/migrations-registry'
import { recordChange } from '../changes/record-change.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db, Queryable } from '../db/db.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Delivery } from '../receivers/receiver.ts'
import { Unreadable } from '../receivers/receiver.ts'
import { digestOf } from '../receivers/signal-from.ts'
import type { Sources } from '../sources/sources.ts'
import type { AlertInbox } from './alert-inbox.ts'
import { findAlert, type Delivery as Kept } from './alert-store.ts'

/** Headers that say what the body means; none of them is a secret. */
const MEANINGFUL = /^(content-type|sentry-hook-resource|webhook-id|ce-[a-z0-9]{1,20})$/

const meaningful = (headers: IncomingHttpHeaders): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      MEANINGFUL.test(name) && typeof value === 'string'
        ? [[name, value.slice(0, 500).replaceAll('\0', '')]]
        : [],
    ),
  )

interface UnreadDelivery {
  readonly id: string
  readonly kind: string
  /** Id of the alert source. */
  readonly source: string
  readonly delivery: Delivery
  readonly error: string
}

/** Keeps a delivery that was proven but could not be read. The same again is the same dead letter. */
export async function keepUnread(on: Queryable, unread: UnreadDelivery): Promise<string> {
  const { id, kind, source, delivery, error } = unread
  const { raw, headers, receivedAt } = delivery
  const signal: Signal = {
    source: kind,
    dedupKey: `${source}:unread:${digestOf(raw)}`,
    status: 'firing',
    name: 'unreadable delivery',
    labels: {},
    startedAt: receivedAt,
    receivedAt,
  }
  const { rows } = await on.query<{ id: string }>(
    `insert into alerts (id, source, dedup_key, token, received_at, signal, status, error, raw, headers)
     values ($1, $2, $3, $4, $5, $6, 'dead', $7, $8, $9)
     on conflict (source, dedup_key) do update set duplicates = alerts.duplicates + 1, error = excluded.error
     returning id`,
    [
      id,
      kind,
      signal.dedupKey,
      source,
      new Date(receivedAt),
      signal,
      error.slice(0, 1000),
      raw,
      meaningful(headers),
    ],
  )
  return rows[0]?.id ?? id
}

export type Replay = (id: string, actor: string) => Promise<readonly Kept[]>

export interface ReplayDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly inbox: Pick<AlertInbox, 'receive' | 'process'>
  readonly sources: Pick<Sources, 'findById' | 'read'>
}

/** Takes up dead alerts again, once what was wrong with them (a template, a target, the server) is mended. */
export function createReplay({ db, clock, inbox, sources }: ReplayDeps): Replay {
  const note = (tx: Queryable, id: string, actor: string) =>
    recordChange(tx, { at: clock(), actor, kind: 'alert.replayed', subject: id })

  async function readAgain(id: string, source: string, delivery: Delivery, actor: string) {
    const found = await sources.findById(source)
    if (found === undefined || found.source.revokedAt !== undefined) {
      throw new HttpProblem('unknown-source', 'The alert source that this came from is gone.', {
        action: 'Let the sender deliver again, through a source that is there.',
      })
    }
    try {
      const { signals } = sources.read(found.source, delivery)
      const kept = await inbox.receive(signals, found.source)
      const explanation = `Read again as ${kept.map((each) => each.id).join(', ') || 'nothing'}.`
      await db.tx(async (tx) => {
        await note(tx, id, actor)
        await tx.query(
          `update alerts set status = 'decided', action = 'none', reason = 'duplicate', explanation = $2,
             error = null, decided_at = $3 where id = $1`,
          [id, explanation, new Date(clock())],
        )
      })
      return kept
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      throw new HttpProblem('unreadable-alert', `It still cannot be read: ${error.message}`)
    }
  }

  return async (id, actor) => {
    const alert = await findAlert(db, id)
    if (alert === undefined) throw new HttpProblem('unknown-alert', `There is no alert "${id}".`)
    if (alert.status !== 'dead') {
      throw new HttpProblem('not-dead', `${id} is ${alert.status}.`, {
        action: 'Only dead alerts are replayed: list them with GET /v1/alerts?status=dead.',
      })
    }
    const { rows } = await db.query<{
      raw: Buffer | null
      headers: IncomingHttpHeaders | null
      token: string
    }>('select raw, headers, token from alerts where id = $1', [id])
    const { raw, headers, token = '' } = rows[0] ?? {}
    if (raw !== null && raw !== undefined) {
      return await readAgain(id, token, { raw, headers: headers ?? {}, receivedAt: alert.receivedAt }, actor)
    }
    await db.tx(async (tx) => {
      await note(tx, id, actor)
      await tx.query(
        `update alerts set status = 'received', attempts = 0, next_at = null where id = $1 and status = 'dead'`,
        [id],
      )
    })
    void inbox.process()
    return [{ id, duplicate: true }]
  }
}
