import type { Path } from '@switchback/migrations-registry'
import { recordFailure, recordSuccess } from '../telemetry/cell.ts'
import { createDeadlines } from './deadlines.ts'
import { beginOperation, endOperation, type Operation } from './epoch-ledger.ts'
import type { MigrationRuntime } from './migration-runtime.ts'
import type { Plan } from './plan.ts'
import { readPlacesOf } from './read-places.ts'
import type { RouterEnv } from './router-env.ts'
import { createSecondLook } from './second-look.ts'

/** Compares a served read with the other path, beside it. Returns at once and never throws. */
export type Shadow = (
  plan: Plan,
  served: Path,
  compared: Path,
  key: unknown,
  args: readonly unknown[],
  result: Promise<unknown>,
) => void

/**
 * Shadow reads of one migration. A mismatch is looked at again before it counts, since a write may have
 * come between the two reads; one that stands is counted, and its key is queued for repair.
 */
export function createShadow(env: RouterEnv, runtime: MigrationRuntime): Shadow {
  const { clock } = env
  const { compare } = runtime.options
  const { readers } = readPlacesOf(runtime.options)
  const secondLook = createSecondLook(runtime)
  let active = 0

  /** A first look that differed: look again, count, and have the key repaired. */
  const lookAgain = async (
    plan: Plan,
    key: unknown,
    args: readonly unknown[],
    operation: Operation,
  ): Promise<void> => {
    if (!(await secondLook.stands(plan, key, args)) || operation.ended) return
    plan.cells.read.new.mismatches++
    env.log.warn('old and new differ', {
      migration: runtime.id,
      epoch: plan.epoch,
      key: runtime.textOf(key),
    })
    if (secondLook.queue === undefined || plan.secondary === undefined) return
    // What follows writes: it is in flight until it is over, however long that takes.
    deadlines.lift(operation)
    await secondLook.queue(plan, key, args)
  }

  const end = (operation: Operation): void => {
    if (operation.ended) return
    active--
    deadlines.lift(operation)
    endOperation(operation)
  }

  // What is late has no further effect, so it need not hold up the drain of its epoch.
  const deadlines = createDeadlines(clock, (operation) => {
    runtime.shadowDropped++
    end(operation)
  })

  return (plan, served, compared, key, args, result) => {
    const { sample, concurrency, timeout } = plan.config.shadow
    if (sample < 1 && env.random() >= sample) return
    if (active >= concurrency) {
      runtime.shadowDropped++
      return
    }
    active++
    const operation = beginOperation(plan.slot, 'compare', clock.now())
    deadlines.set(operation, timeout)
    const cell = plan.cells.read[compared]
    const failed = (error: unknown): void => {
      cell.shadows++
      cell.shadowsFailed++
      recordFailure(cell, clock.now() - operation.startedAt, error)
      end(operation)
    }
    const found = (other: unknown): void => {
      cell.shadows++
      recordSuccess(cell, clock.now() - operation.startedAt)
      result.then(
        (value) => {
          if (operation.ended) return
          // Comparisons are told under new, whichever path was served: new is what is on trial.
          plan.cells.read.new.compared++
          try {
            const [old, fresh] = served === 'old' ? [value, other] : [other, value]
            if (old === fresh || compare(old, fresh)) return end(operation)
          } catch (error) {
            return givenUp(operation, error)
          }
          lookAgain(plan, key, args, operation).then(
            () => end(operation),
            (error: unknown) => givenUp(operation, error),
          )
        },
        // A failed read is the caller's.
        () => end(operation),
      )
    }
    try {
      Promise.resolve(runtime.handler('read', compared)(key, readers[compared], ...args)).then(found, failed)
    } catch (error) {
      failed(error)
    }
  }

  /** A second look or a repair that failed: verification finds the key again. */
  function givenUp(operation: Operation, error: unknown): void {
    env.log.info('a comparison was given up', { migration: runtime.id, error: String(error) })
    end(operation)
  }
}
