import type { FlagDefinition } from '@switchback/migrations-registry'
import { recordChange } from '../changes/record-change.ts'
import type { Clock } from '../db/clock.ts'
import type { Db, Queryable } from '../db/db.ts'

/** An ordinary flag as the store holds it. */
export interface StoredFlag {
  readonly definition: FlagDefinition
  readonly revision: number
  readonly updatedAt: number
}

type FlagRefusalCode = 'flag-exists' | 'unknown-flag' | 'key-reserved'

type FlagResult<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false
      readonly refusal: { readonly code: FlagRefusalCode; readonly message: string; readonly action: string }
    }

export interface Flags {
  list(): Promise<readonly StoredFlag[]>
  get(key: string): Promise<StoredFlag | undefined>
  create(definition: FlagDefinition, actor: string): Promise<FlagResult<StoredFlag>>
  replace(definition: FlagDefinition, actor: string): Promise<FlagResult<StoredFlag>>
  remove(key: string, actor: string): Promise<FlagResult<null>>
}

export interface FlagsDeps {
  readonly db: Db
  readonly clock: Clock
  /** Told after each commit. */
  readonly announce: (revision: number) => void
}

interface Row {
  readonly definition: FlagDefinition
  readonly revision: number
  readonly updated_at: Date
}

const toFlag = (row: Row): StoredFlag => ({
  definition: row.definition,
  revision: row.revision,
  updatedAt: row.updated_at.getTime(),
})

const find = async (on: Queryable, key: string): Promise<StoredFlag | undefined> => {
  const { rows } = await on.query<Row>('select definition, revision, updated_at from flags where key = $1', [
    key,
  ])
  return rows[0] === undefined ? undefined : toFlag(rows[0])
}

/** Ordinary flags. They are pushed like migrations, and can be tied to the phase of one. */
export function createFlags({ db, clock, announce }: FlagsDeps): Flags {
  async function save(
    definition: FlagDefinition,
    actor: string,
    kind: 'flag.created' | 'flag.replaced',
  ): Promise<FlagResult<StoredFlag>> {
    const { key } = definition
    const result = await db.tx(async (tx): Promise<FlagResult<StoredFlag>> => {
      // Keys of flags and aliases of migrations are one namespace; registering takes this lock too.
      await tx.query('select from head for update')
      const owner = await ownerOf(tx, key)
      if (owner !== undefined) {
        return refuse(
          'key-reserved',
          `"${key}" is a flag of the migration ${owner}.`,
          'Choose another key, or set the flags of the migration.',
        )
      }
      const existing = await find(tx, key)
      if (kind === 'flag.created' && existing !== undefined) {
        return refuse(
          'flag-exists',
          `There is a flag "${key}" already.`,
          `Replace it with PUT /v1/flags/${key}.`,
        )
      }
      if (kind === 'flag.replaced' && existing === undefined) return unknown(key)
      const at = clock()
      const revision = await recordChange(tx, { at, actor, kind, subject: key, detail: { definition } })
      await tx.query(
        `insert into flags (key, definition, revision, updated_at) values ($1, $2, $3, $4)
         on conflict (key) do update set definition = excluded.definition, revision = excluded.revision,
           updated_at = excluded.updated_at`,
        [key, definition, revision, new Date(at)],
      )
      await tx.query(`delete from removals where kind = 'flag' and key = $1`, [key])
      return { ok: true, value: { definition, revision, updatedAt: at } }
    })
    if (result.ok) announce(result.value.revision)
    return result
  }

  return {
    list: async () => {
      const { rows } = await db.query<Row>('select definition, revision, updated_at from flags order by key')
      return rows.map(toFlag)
    },
    get: (key) => find(db, key),
    create: (definition, actor) => save(definition, actor, 'flag.created'),
    replace: (definition, actor) => save(definition, actor, 'flag.replaced'),
    remove: async (key, actor) => {
      const revision = await db.tx(async (tx) => {
        await tx.query('select from head for update')
        const { rowCount } = await tx.query('delete from flags where key = $1', [key])
        if (rowCount !== 1) return undefined
        const removed = await recordChange(tx, { at: clock(), actor, kind: 'flag.removed', subject: key })
        // Clients that were away learn from here that it is gone.
        await tx.query(
          `insert into removals (kind, key, revision) values ('flag', $1, $2)
           on conflict (kind, key) do update set revision = excluded.revision`,
          [key, removed],
        )
        return removed
      })
      if (revision === undefined) return unknown(key)
      announce(revision)
      return { ok: true, value: null }
    },
  }
}

const refuse = (code: FlagRefusalCode, message: string, action: string) =>
  ({ ok: false, refusal: { code, message, action } }) as const

const unknown = (key: string) =>
  refuse('unknown-flag', `There is no flag "${key}".`, 'List the flags with GET /v1/flags.')

/** The migration that owns this key by its alias, or would by the name of its own flags. */
async function ownerOf(tx: Queryable, key: string): Promise<string | undefined> {
  const own = /^(.+)\.(?:read|write|backfill)$/.exec(key)?.[1]
  const { rows } = await tx.query<{ id: string }>(
    `select id from migrations where id = $1 or definition -> 'flags' ->> 'alias' = $2 limit 1`,
    [own ?? null, key],
  )
  return rows[0]?.id
}
