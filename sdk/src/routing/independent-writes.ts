import type { Path } from '@switchback/migrations-registry'
import { LeaseExpiredError, messageOf } from '../error.ts'
import type { MeasuredOperation } from '../telemetry/cell.ts'
import type { HalfHandle } from '../transaction/half-port.ts'
import type { Independent } from '../transaction/independent.ts'
import { beginOperation, endOperation } from './epoch-ledger.ts'
import { type Halves, openHalves, rollbackAll } from './halves.ts'
import type { MigrationRuntime } from './migration-runtime.ts'
import type { Plan } from './plan.ts'
import { otherPath } from './read-places.ts'
import { retrying } from './retry.ts'
import type { Call, RouterEnv } from './router-env.ts'
import { beginWrite, type Outcome, type RoutedWrite, runPaths, settleOutcomes } from './transaction-writes.ts'

/** What the last attempt of a write has come to. */
interface Tally {
  readonly plan: Plan
  readonly outcomes: Outcome[]
  committed: boolean
}

/** An intent whose second write is through. */
interface Done {
  readonly path: Path
  readonly token: string
}

/**
 * Writes in independent mode: each path in a transaction of its own database. Both are open, and hold the
 * lock of the key, before the first is committed, and no lock is let go before both are held: so writes of
 * one key come one after the other in both databases, whoever leads them. See docs/decisions.
 */
export function createIndependentWrites(
  env: RouterEnv,
  runtime: MigrationRuntime,
  ports: Independent<unknown>,
  kind: MeasuredOperation,
): Call {
  const { clock } = env
  const repairs = runtime.options.onSecondaryFailure === 'repair'
  const port = {
    retries: Math.max(ports.old.retries, ports.new.retries),
    failureOf: (error: unknown) => {
      const failure = ports.old.failureOf(error)
      return failure === 'other' ? ports.new.failureOf(error) : failure
    },
  }

  /** One path alone is written: its database is all there is. */
  const single = async (write: RoutedWrite, tally: Tally): Promise<unknown> => {
    const { plan, outcomes } = tally
    const only = ports[plan.write.leader]
    const handle = await beginWrite(only, runtime, plan, write.text)
    try {
      const result = await runPaths(env, runtime, plan, only, handle, write, outcomes, false)
      await handle.commit()
      tally.committed = true
      return result
    } finally {
      await handle.rollback()
    }
  }

  const runHalf = async (
    path: Path,
    half: HalfHandle<unknown>,
    write: RoutedWrite,
    outcomes: Outcome[],
    secondary: boolean,
  ): Promise<{ readonly value: unknown } | { readonly error: unknown }> => {
    const startedAt = clock.now()
    try {
      const value = await runtime.handler(kind, path)(write.key, half.tx, ...write.args)
      outcomes.push({ path, ms: clock.now() - startedAt })
      return { value }
    } catch (error) {
      outcomes.push({ path, ms: clock.now() - startedAt, error, ...(secondary ? { secondary } : {}) })
      return { error }
    }
  }

  /** Runs the handlers of what is open, old before new, and undoes the other path where it has failed. */
  const runHalves = async (halves: Halves, write: RoutedWrite, tally: Tally) => {
    const { lead, open } = halves
    const { outcomes, plan } = tally
    let failed = halves.lost
    let result: unknown
    if (failed !== undefined) {
      if (!repairs) throw failed.error
      outcomes.push({ path: otherPath(lead), ms: 0, error: failed.error, secondary: true })
    }
    for (const path of plan.write.order) {
      const half = open.get(path)
      if (half === undefined) continue
      const ran = await runHalf(path, half, write, outcomes, path !== lead)
      if ('error' in ran) {
        // A collision in either database: the whole write may succeed when begun again.
        if (path === lead || !repairs || port.failureOf(ran.error) === 'serialization') throw ran.error
        await half.rollback()
        failed = ran
      } else if (path === lead) result = ran.value
    }
    return { result, failed }
  }

  /** Both paths. Returns the intent to be removed beside the result. */
  const dual = async (write: RoutedWrite, tally: Tally): Promise<{ result: unknown; done?: Done }> => {
    const { plan, outcomes } = tally
    const halves = await openHalves(ports, plan, write.text)
    const { lead, open } = halves
    const second = otherPath(lead)
    const behind = { migration: runtime.id, key: write.text, path: second, epoch: plan.epoch }
    try {
      const { result, failed } = await runHalves(halves, write, tally)
      const leading = open.get(lead)
      const following = failed === undefined ? open.get(second) : undefined
      if (following === undefined) {
        const reason = `${kind} failed: ${messageOf(failed?.error)}`
        await leading?.queueRepair({ ...behind, reason })
        await leading?.commit()
        tally.committed = true
        return { result }
      }
      // From here on the write is acknowledged, whatever becomes of the other path: the intent stands for it.
      const token = await leading?.commitWithIntent(behind)
      tally.committed = true
      const startedAt = clock.now()
      try {
        await following.commit()
      } catch (error) {
        const place = outcomes.findIndex(({ path }) => path === second)
        outcomes[place] = { path: second, ms: clock.now() - startedAt, error, secondary: true }
        return { result }
      }
      return token === undefined ? { result } : { result, done: { path: lead, token } }
    } finally {
      await rollbackAll(open.values())
    }
  }

  /** Nobody waits for it but the drain: an intent that stays a little longer does no harm. */
  const clear = ({ path, token }: Done): Promise<void> =>
    ports[path].clearIntent(token).catch((error: unknown) => {
      env.log.info('an intent was not removed; the repair worker looks at its key', {
        migration: runtime.id,
        error: messageOf(error),
      })
    })

  const attempt = async (write: RoutedWrite, tally: Tally): Promise<unknown> => {
    const { plan } = tally
    const operation = beginOperation(plan.slot, kind, clock.now())
    let clearing: Promise<void> | undefined
    try {
      if (plan.secondary === undefined) return await single(write, tally)
      const { result, done } = await dual(write, tally)
      if (done !== undefined) clearing = clear(done)
      return result
    } finally {
      if (clearing === undefined) endOperation(operation)
      else void clearing.then(() => endOperation(operation))
    }
  }

  return async (key, args) => {
    if (runtime.gate !== undefined) await runtime.gate
    const write = { kind, key, text: runtime.textOf(key), args }
    let tally: Tally | undefined
    runtime.ledger.callBegins()
    try {
      return await retrying(env, port, () => {
        if (env.lease?.expired()) throw new LeaseExpiredError()
        const { plan } = runtime
        for (const path of plan.write.order) runtime.handler(kind, path)
        tally = { plan, outcomes: [], committed: false }
        return attempt(write, tally)
      })
    } finally {
      if (tally !== undefined) {
        settleOutcomes(env, runtime, tally.plan, write, tally.outcomes, tally.committed)
      }
      runtime.ledger.callEnds()
    }
  }
}
