import { recordChange } from '../changes/record-change.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import type { SecretBox } from '../secrets/secret-box.ts'
import type { Channel, ChannelKind, ChannelSecret } from './channel-store.ts'
import { deleteChannel, findChannel, insertChannel, listChannels } from './channel-store.ts'
import { smtpProblem, urlProblem } from './channel-url.ts'
import type { Notice, NoticeKind } from './notice.ts'
import type { Send } from './send.ts'
import { SendError } from './send.ts'

export interface NewChannel {
  readonly name: string
  readonly kind: ChannelKind
  readonly url?: string | undefined
  readonly key?: string | undefined
  readonly from?: string | undefined
  readonly to?: readonly string[] | undefined
  readonly events?: readonly NoticeKind[] | undefined
  readonly migrations?: readonly string[] | undefined
}

export type ChannelMade =
  /** `key` is what a webhook's notices are signed with; shown this once. */
  | { readonly ok: true; readonly channel: Channel; readonly key?: string }
  | { readonly ok: false; readonly why: 'name-taken' | 'invalid-request'; readonly message: string }

export interface Channels {
  create(channel: NewChannel, actor: string): Promise<ChannelMade>
  list(): Promise<readonly Channel[]>
  remove(name: string, actor: string): Promise<boolean>
  /** Sends a notice at once, past the outbox; undefined where there is no such channel. */
  test(name: string, actor: string): Promise<{ readonly sent: boolean; readonly error?: string } | undefined>
  /** Sends to a channel by its id. @throws SendError */
  send(id: string, notification: string, recipient: string | undefined, notice: Notice): Promise<void>
}

export interface ChannelsDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly randomBytes: (size: number) => Buffer
  readonly box: SecretBox
  readonly send: Send
  /** Hosts that may be told without encryption. */
  readonly httpHosts: readonly string[]
}

/** What of a new channel may be shown, and what may not; or what is wrong with it. */
function partsOf(given: NewChannel, httpHosts: readonly string[], made: () => string) {
  const { kind, url, key, from, to } = given
  const wrong = (message: string) => ({ ok: false, message }) as const
  const lacking = (name: string) => wrong(`a channel of the kind ${kind} needs "${name}"`)
  const problem =
    url === undefined ? undefined : kind === 'email' ? smtpProblem(url) : urlProblem(url, httpHosts)
  if (problem !== undefined) return wrong(`url: ${problem}`)
  const right = (settings: Channel['settings'], secret: ChannelSecret, shown?: string) =>
    ({ ok: true, settings, secret, shown }) as const
  switch (kind) {
    case 'slack':
    case 'teams':
      return url === undefined ? lacking('url') : right({}, { url })
    case 'pagerduty':
      return key === undefined ? lacking('key') : right(url === undefined ? {} : { url }, { key })
    case 'email':
      if (url === undefined) return lacking('url')
      return right({ ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }, { url })
    case 'webhook': {
      if (url === undefined) return lacking('url')
      if (key !== undefined && !/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/.test(key)) {
        return wrong('key: expected "whsec_" and at least 24 bytes in base64, or none')
      }
      const own = key ?? made()
      return right({ url }, { key: own }, key === undefined ? own : undefined)
    }
  }
}

export function createChannels(deps: ChannelsDeps): Channels {
  const { db, clock, newId, randomBytes, box, send, httpHosts } = deps
  const about = (id: string): string => `channel ${id}`

  async function deliver(id: string, notification: string, recipient: string | undefined, notice: Notice) {
    const found = await findChannel(db, { id })
    if (found === undefined) throw new SendError('the channel is gone', false)
    const { kind, settings } = found.channel
    const secret = JSON.parse(box.open(found.sealed, about(id))) as ChannelSecret
    await send({ id: notification, kind, settings, secret, recipient, notice })
  }

  return {
    list: () => listChannels(db),
    send: deliver,
    create: async (given, actor) => {
      const parts = partsOf(given, httpHosts, () => `whsec_${randomBytes(32).toString('base64')}`)
      if (!parts.ok) return { ok: false, why: 'invalid-request', message: parts.message }
      const { name, kind, events, migrations } = given
      const createdAt = clock()
      const channel: Channel = {
        id: newId('chn'),
        name,
        kind,
        settings: parts.settings,
        createdAt,
        createdBy: actor,
        ...(events === undefined ? {} : { events }),
        ...(migrations === undefined ? {} : { migrations }),
      }
      return await db.tx(async (tx) => {
        await tx.query('select from head for update')
        if (!(await insertChannel(tx, channel, box.seal(JSON.stringify(parts.secret), about(channel.id))))) {
          return { ok: false, why: 'name-taken', message: `There is a channel "${name}" already.` }
        }
        const detail = { kind, events: events ?? null, migrations: migrations ?? null }
        await recordChange(tx, { at: createdAt, actor, kind: 'channel.created', subject: name, detail })
        return { ok: true, channel, ...(parts.shown === undefined ? {} : { key: parts.shown }) }
      })
    },
    remove: (name, actor) =>
      db.tx(async (tx) => {
        await tx.query('select from head for update')
        const removed = await deleteChannel(tx, name)
        if (removed) await recordChange(tx, { at: clock(), actor, kind: 'channel.removed', subject: name })
        return removed
      }),
    test: async (name, actor) => {
      const found = await findChannel(db, { name })
      if (found === undefined) return undefined
      const notice: Notice = {
        kind: 'test',
        severity: 'info',
        title: 'A test',
        text: `${actor} tries whether notices arrive here.`,
        at: clock(),
        facts: [],
        links: [],
      }
      try {
        await deliver(found.channel.id, newId('ntf'), undefined, notice)
        return { sent: true }
      } catch (error) {
        return { sent: false, error: error instanceof Error ? error.message : String(error) }
      }
    },
  }
}
