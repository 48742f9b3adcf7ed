import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { recordChange } from '../changes/record-change.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import { hasAdmin, isKnown, othersBy, revokeToken } from './token-store.ts'
import type { Tokens } from './tokens.ts'
import { hashToken } from './tokens.ts'

export interface BootstrapDeps {
  readonly db: Db
  readonly clock: Clock
  readonly tokens: Tokens
  readonly dataDir: string
  /** From the environment, where it is set there. */
  readonly adminToken?: string
}

export type Bootstrapped =
  /** The token that was given from outside is good. */
  | { readonly kind: 'given' }
  /** A token was made and is in this file, readable by the owner alone. */
  | { readonly kind: 'written'; readonly file: string }
  /** There is an admin already. */
  | { readonly kind: 'present' }

const ENVIRONMENT = 'environment'

/**
 * Sees to it that somebody can administer the store. Servers that start together on an empty store make one
 * token between them. A token from the environment replaces the one that was given so before.
 */
export async function bootstrapAdmin(deps: BootstrapDeps): Promise<Bootstrapped> {
  const { db, clock, tokens, dataDir, adminToken } = deps
  return db.tx(async (tx): Promise<Bootstrapped> => {
    await tx.query('select from head for update')
    if (adminToken !== undefined) {
      const hash = hashToken(adminToken)
      for (const id of await othersBy(tx, ENVIRONMENT, hash)) {
        const at = clock()
        await revokeToken(tx, id, at)
        await recordChange(tx, { at, actor: ENVIRONMENT, kind: 'token.revoked', subject: id })
      }
      if (!(await isKnown(tx, hash)))
        await tokens.createIn(tx, { name: 'admin', role: 'admin' }, { name: ENVIRONMENT }, adminToken)
      return { kind: 'given' }
    }
    if (await hasAdmin(tx, clock())) return { kind: 'present' }
    const { text } = await tokens.createIn(tx, { name: 'admin', role: 'admin' }, { name: 'first start' })
    const file = join(dataDir, 'admin-token')
    await mkdir(dataDir, { recursive: true })
    // Before the commit: a crash in between leaves a file that opens nothing, never a token nobody knows.
    await rm(`${file}.new`, { force: true })
    await writeFile(`${file}.new`, `${text}\n`, { mode: 0o600, flag: 'wx' })
    await rename(`${file}.new`, file)
    return { kind: 'written', file }
  })
}
