import { createHash } from 'node:crypto'
import { recordChange } from '../changes/record-change.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db, Queryable } from '../db/db.ts'
import { createFresh } from '../db/fresh.ts'
import type { Role } from './permissions.ts'
import type { TokenInfo } from './token-store.ts'
import { findByHash, insertToken, listTokens, revokeToken, touchToken } from './token-store.ts'

/** Who a request comes from. */
export interface Principal {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly migrations?: readonly string[]
  /** The human being behind it, where that is known: an identity of the provider. */
  readonly person?: string
  /** Set where a person is signed in, rather than a token sent. */
  readonly session?: { readonly id: string; readonly provider: string; readonly expiresAt: number }
}

/** Who makes a token: a person, another token, or a part of the server. */
export type Maker = Pick<Principal, 'name' | 'person'>

export interface NewToken {
  readonly name: string
  readonly role: Role
  readonly migrations?: readonly string[]
  readonly expiresAt?: number
}

interface CreatedToken {
  readonly info: TokenInfo
  /** The only time that it is to be had. */
  readonly text: string
}

export interface Tokens {
  create(token: NewToken, maker: Maker): Promise<CreatedToken>
  /** Creates a token inside the caller's transaction; `text` where it is given from outside. */
  createIn(tx: Queryable, token: NewToken, maker: Maker, text?: string): Promise<CreatedToken>
  list(): Promise<readonly TokenInfo[]>
  /** False where there is no such token, or it is revoked already. */
  revoke(id: string, actor: string): Promise<boolean>
  /** Who this token stands for; undefined where it is unknown, revoked or expired. */
  authenticate(text: string): Promise<Principal | undefined>
}

export interface TokensDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly randomBytes: (size: number) => Buffer
}

/** Stored in place of the text. One round is enough for 256 random bits; nobody guesses those. */
export const hashToken = (text: string): string => createHash('sha256').update(text).digest('hex')

export function createTokens({ db, clock, newId, randomBytes }: TokensDeps): Tokens {
  async function createIn(
    tx: Queryable,
    token: NewToken,
    { name: actor, person }: Maker,
    text = `sb_${token.role}_${randomBytes(32).toString('base64url')}`,
  ): Promise<CreatedToken> {
    const at = clock()
    const info: TokenInfo = { id: newId('tok'), ...token, createdAt: at, createdBy: actor }
    await recordChange(tx, {
      at,
      actor,
      kind: 'token.created',
      subject: info.id,
      detail: {
        name: token.name,
        role: token.role,
        migrations: token.migrations ?? null,
        expiresAt: token.expiresAt ?? null,
      },
    })
    await insertToken(tx, info, hashToken(text), person)
    return { info, text }
  }

  /** A fleet that comes back has one token: however many bring it at the same time, it is looked up once. */
  const lookups = new Map<string, { readonly ask: () => Promise<Principal | undefined>; askers: number }>()

  async function lookUp(hash: string): Promise<Principal | undefined> {
    const now = clock()
    const found = await findByHash(db, hash, now)
    if (found === undefined) return undefined
    await touchToken(db, found.id, now)
    const { id, name, role, migrations, person } = found
    return {
      id,
      name,
      role,
      ...(migrations === undefined ? {} : { migrations }),
      ...(person === undefined ? {} : { person }),
    }
  }

  return {
    createIn,
    create: (token, maker) => db.tx((tx) => createIn(tx, token, maker)),
    list: () => listTokens(db),
    revoke: (id, actor) =>
      db.tx(async (tx) => {
        const at = clock()
        // The order in which everybody takes these two locks, or two of them wait for each other.
        await tx.query('select from head for update')
        const revoked = await revokeToken(tx, id, at)
        if (revoked) await recordChange(tx, { at, actor, kind: 'token.revoked', subject: id })
        return revoked
      }),
    authenticate: async (text) => {
      const hash = hashToken(text)
      const lookup = lookups.get(hash) ?? { ask: createFresh(() => lookUp(hash)), askers: 0 }
      lookups.set(hash, lookup)
      lookup.askers++
      try {
        return await lookup.ask()
      } finally {
        if (--lookup.askers === 0) lookups.delete(hash)
      }
    },
  }
}

/** Whoever is for certain migrations only, or for all. */
export type Scoped = Pick<Principal, 'migrations'>

/** Whether a principal may touch this migration. */
export const inScope = (principal: Scoped, migration: string): boolean =>
  principal.migrations === undefined || principal.migrations.includes(migration)

/** The same for the same migrations, in whatever order they were given; undefined where all are meant. */
export const scopeKey = ({ migrations }: Scoped): string | undefined =>
  migrations === undefined ? undefined : JSON.stringify([...new Set(migrations)].sort())
