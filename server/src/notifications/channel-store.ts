import type { Queryable } from '../db/db.ts'
import type { NoticeKind } from './notice.ts'

export const CHANNEL_KINDS = ['slack', 'teams', 'pagerduty', 'email', 'webhook'] as const
export type ChannelKind = (typeof CHANNEL_KINDS)[number]

/** What may be shown. */
export interface ChannelSettings {
  /** Webhooks and PagerDuty: the address. */
  readonly url?: string
  readonly from?: string
  readonly to?: readonly string[]
}

/** What is shown never again: addresses of chats let anybody write there. */
export interface ChannelSecret {
  readonly url?: string
  /** PagerDuty's routing key; the secret that webhooks are signed with. */
  readonly key?: string
}

/** Where notices go. Times are Unix milliseconds. */
export interface Channel {
  readonly id: string
  readonly name: string
  readonly kind: ChannelKind
  readonly settings: ChannelSettings
  /** Undefined: all. */
  readonly events?: readonly NoticeKind[]
  readonly migrations?: readonly string[]
  readonly createdAt: number
  readonly createdBy: string
}

interface Row {
  readonly id: string
  readonly name: string
  readonly kind: ChannelKind
  readonly settings: ChannelSettings
  readonly secret: string
  readonly events: readonly NoticeKind[] | null
  readonly migrations: readonly string[] | null
  readonly created_at: Date
  readonly created_by: string
}

const toChannel = (row: Row): Channel => ({
  id: row.id,
  name: row.name,
  kind: row.kind,
  settings: row.settings,
  createdAt: row.created_at.getTime(),
  createdBy: row.created_by,
  ...(row.events === null ? {} : { events: row.events }),
  ...(row.migrations === null ? {} : { migrations: row.migrations }),
})

/** With the sealed secret beside it. */
export async function findChannel(
  on: Queryable,
  by: { readonly name: string } | { readonly id: string },
): Promise<{ readonly channel: Channel; readonly sealed: string } | undefined> {
  const [column, value] = 'name' in by ? ['name', by.name] : ['id', by.id]
  const { rows } = await on.query<Row>(`select * from channels where ${column} = $1`, [value])
  const row = rows[0]
  return row === undefined ? undefined : { channel: toChannel(row), sealed: row.secret }
}

/** In the order in which they were made. */
export async function listChannels(on: Queryable): Promise<readonly Channel[]> {
  const { rows } = await on.query<Row>('select * from channels order by created_at, id')
  return rows.map(toChannel)
}

/** False where the name is taken. */
export async function insertChannel(tx: Queryable, channel: Channel, sealed: string): Promise<boolean> {
  const { id, name, kind, settings, events, migrations, createdAt, createdBy } = channel
  const { rowCount } = await tx.query(
    `insert into channels (id, name, kind, settings, secret, events, migrations, created_at, created_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
    [id, name, kind, settings, sealed, events ?? null, migrations ?? null, new Date(createdAt), createdBy],
  )
  return rowCount === 1
}

export async function deleteChannel(tx: Queryable, name: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from channels where name = $1', [name])
  return rowCount === 1
}
