import { recordChange } from '../changes/record-change.ts'
import type { Db } from '../db/db.ts'
import { addEvent } from '../incidents/incident-store.ts'
import {
  claimUnverified,
  keepClaim,
  releaseClaim,
  saveVerification,
  type UnverifiedRevert,
  type Verification,
} from './verification-store.ts'
import { type VerifyDeps, verifyRevert } from './verify-revert.ts'

/** Verifies every revert after it was made, one incident per server at a time and migration. */
export interface Verifier {
  start(): void
  stop(): Promise<void>
}

export interface VerifierDeps extends Omit<VerifyDeps, 'keep'> {
  readonly db: Db
  readonly announce: (revision: number) => void
  readonly onFault: (error: unknown, during: string) => void
  readonly everyMs?: number
}

const EVERY_MS = 500
/** Reverts that one server verifies at the same time. */
const AT_ONCE = 20
/** A server that says nothing for so long is dead. */
const HOLD_MS = 15_000

export function createVerifier(deps: VerifierDeps): Verifier {
  const { db, clock } = deps
  const abort = new AbortController()
  const running = new Set<Promise<void>>()
  let timer: NodeJS.Timeout | undefined
  let looking: Promise<void> | undefined

  async function verify(revert: UnverifiedRevert): Promise<void> {
    try {
      const keep = (id: string) => keepClaim(db, id, clock() + HOLD_MS)
      const verification = await verifyRevert({ ...deps, keep }, revert, abort.signal)
      if (verification === undefined) await releaseClaim(db, revert.id)
      else await conclude(revert, verification)
    } catch (error) {
      deps.onFault(error, `verification of ${revert.id}`)
    }
  }

  async function conclude({ id, migration }: UnverifiedRevert, verification: Verification): Promise<void> {
    const { outcome, at, findings } = verification
    const kind = outcome === 'verified' ? 'verified' : `verification-${outcome}`
    const revision = await db.tx(async (tx) => {
      if (!(await saveVerification(tx, id, verification))) return undefined
      for (const { name, message, outcome: found } of findings) {
        await addEvent(tx, id, {
          at,
          kind: 'finding',
          message: `${name}: ${message}`,
          detail: { outcome: found },
        })
      }
      const page = outcome === 'failed'
      await addEvent(tx, id, { at, kind, message: TOLD[outcome], detail: { page } })
      const detail = { incident: id, outcome, page, findings }
      return await recordChange(tx, {
        at,
        actor: 'verification',
        kind: `incident.${kind}`,
        subject: migration,
        detail,
      })
    })
    if (revision !== undefined) deps.announce(revision)
  }

  async function look(): Promise<void> {
    while (running.size < AT_ONCE && !abort.signal.aborted) {
      const revert = await claimUnverified(db, clock(), clock() + HOLD_MS)
      if (revert === undefined) return
      const run = verify(revert).finally(() => running.delete(run))
      running.add(run)
    }
  }

  return {
    start: () => {
      timer ??= setInterval(() => {
        looking ??= look()
          .catch((error: unknown) => deps.onFault(error, 'verification of reverts'))
          .finally(() => {
            looking = undefined
          })
      }, deps.everyMs ?? EVERY_MS)
    },
    stop: async () => {
      clearInterval(timer)
      abort.abort()
      await looking
      await Promise.all(running)
    },
  }
}

const TOLD: Readonly<Record<Verification['outcome'], string>> = {
  verified: 'Verified: the checks hold, old is whole, and error rates are back under the limits.',
  failed: 'Not verified: something is still wrong after the revert; a person has to look.',
  inconclusive: 'Whether the revert has helped cannot be told.',
}
