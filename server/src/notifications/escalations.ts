import type { MigrationDefinition } from '@switchback/migrations-registry'
import type { Db, Queryable } from '../db/db.ts'
import { addEvent } from '../incidents/incident-store.ts'
import type { Channel } from './channel-store.ts'
import { listChannels } from './channel-store.ts'
import type { Notice } from './notice.ts'
import { enqueue } from './outbox-store.ts'

/** Calls the contacts of a migration one after the other, until somebody acknowledges. */
export interface Escalations {
  /** Begins to call, unless it is being done; a further page about the same incident tells the next call. */
  begin(tx: Queryable, notice: Notice): Promise<void>
  /** Tells the first contact, without asking for an acknowledgement. */
  callFirst(tx: Queryable, key: string, notice: Notice): Promise<void>
  /** Calls nobody further; whoever was called is told why. */
  end(tx: Queryable, key: string, notice: Notice): Promise<void>
  /** Makes the next call of one incident that is due; false where none is. */
  step(): Promise<boolean>
}

export interface EscalationsDeps {
  readonly db: Db
  readonly clock: () => number
  readonly newId: (prefix: string) => string
  readonly definitionOf: (migration: string) => Promise<MigrationDefinition | undefined>
}

/** How often the whole list is gone through before it is written down that nobody answers. */
const ROUNDS = 3
const PAUSE_MS = 300_000

interface Row {
  readonly incident: string
  readonly contacts: readonly string[]
  readonly pause_ms: number
  readonly level: number
  readonly notice: Notice
}

/** The channel by which a contact is reached: one of its name, or the first for e-mail where it is an address. */
export function channelOf(
  contact: string,
  channels: readonly Channel[],
): { readonly channel: Channel; readonly recipient?: string } | undefined {
  const named = channels.find(({ name }) => name === contact)
  if (named !== undefined) return { channel: named }
  const address = /^mailto:([^\s?@,;]{1,64}@[^\s?@,;]{1,250})$/.exec(contact)?.[1]
  const mail = channels.find(({ kind }) => kind === 'email')
  return address === undefined || mail === undefined ? undefined : { channel: mail, recipient: address }
}

export function createEscalations({ db, clock, newId, definitionOf }: EscalationsDeps): Escalations {
  /** False where the contact cannot be reached. */
  async function call(tx: Queryable, key: string, contact: string, notice: Notice): Promise<boolean> {
    const found = channelOf(contact, await listChannels(tx))
    if (found === undefined) return false
    const { channel, recipient } = found
    const named = `${key}:contact:${contact}`
    await enqueue(tx, { id: newId('ntf'), key: named, channel: channel.id, recipient, notice }, clock())
    return true
  }

  async function contactsOf(migration: string | undefined) {
    const owner = migration === undefined ? undefined : (await definitionOf(migration))?.owner
    return { contacts: owner?.contacts ?? [], pause: owner?.escalateAfter ?? PAUSE_MS }
  }

  async function next(tx: Queryable, row: Row): Promise<void> {
    const { incident, contacts, level, notice } = row
    const now = clock()
    const contact = contacts[level % contacts.length] ?? ''
    const isReached = await call(tx, `page:${incident}:${level}`, contact, notice)
    if (!isReached) {
      const message = `No channel leads to ${contact}: make one of this name, or one for e-mail.`
      if (level < contacts.length)
        await addEvent(tx, incident, { at: now, kind: 'contact-unreachable', message, detail: { contact } })
    } else {
      const message = `Called ${contact}.`
      await addEvent(tx, incident, { at: now, kind: 'contact-called', message, detail: { contact, level } })
    }
    const isLast = level + 1 >= contacts.length * ROUNDS
    if (isLast) {
      const message = `Nobody acknowledged, after ${ROUNDS} rounds through ${contacts.join(', ')}.`
      await addEvent(tx, incident, { at: now, kind: 'unanswered', message, detail: {} })
    }
    // Whom nobody can reach is not waited for.
    const pause = isReached ? row.pause_ms : 0
    await tx.query(
      'update escalations set level = level + 1, next_at = $2, ended_at = $3 where incident = $1',
      [incident, new Date(now + pause), isLast ? new Date(now) : null],
    )
  }

  return {
    begin: async (tx, notice) => {
      const { incident, migration } = notice
      if (incident === undefined) return
      const { contacts, pause } = await contactsOf(migration)
      if (contacts.length === 0) return
      // A new page while the calls go on calls at once; after an acknowledgement it begins anew.
      await tx.query(
        `insert into escalations (incident, contacts, pause_ms, notice, next_at) values ($1, $2, $3, $4, $5)
         on conflict (incident) do update set notice = excluded.notice, next_at = excluded.next_at, ended_at = null`,
        [incident, contacts, pause, notice, new Date(clock())],
      )
    },
    callFirst: async (tx, key, notice) => {
      const [first] = (await contactsOf(notice.migration)).contacts
      if (first !== undefined) await call(tx, key, first, notice)
    },
    end: async (tx, key, notice) => {
      const { rows } = await tx.query<Row>(
        `update escalations set ended_at = coalesce(ended_at, $2) where incident = $1 returning *`,
        [notice.incident ?? '', new Date(clock())],
      )
      const [ended] = rows
      if (ended === undefined) return
      const called = new Set(ended.contacts.slice(0, ended.level))
      for (const contact of called) await call(tx, key, contact, notice)
    },
    step: () =>
      db.tx(async (tx) => {
        const { rows } = await tx.query<Row>(
          `select * from escalations where ended_at is null and next_at <= $1
           order by next_at limit 1 for update skip locked`,
          [new Date(clock())],
        )
        const [due] = rows
        if (due === undefined) return false
        await next(tx, due)
        return true
      }),
  }
}
