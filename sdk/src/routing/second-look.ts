import { guardOf } from './guard.ts'
import { openHalves, rollbackAll } from './halves.ts'
import type { MigrationRuntime } from './migration-runtime.ts'
import type { Plan } from './plan.ts'
import { readPlacesOf } from './read-places.ts'

/** What becomes of a key whose paths differed at the first look. */
export interface SecondLook {
  /** Whether they differ when no write can have come between the two reads, where that can be had. */
  stands(plan: Plan, key: unknown, args: readonly unknown[]): Promise<boolean>
  /** Queues the path that does not lead for repair, after a last look under the lock of the key. */
  readonly queue: ((plan: Plan, key: unknown, args: readonly unknown[]) => Promise<void>) | undefined
}

const REASON = 'a shadow read found the paths to differ'

export function createSecondLook(runtime: MigrationRuntime): SecondLook {
  const { transaction, independent, compare } = runtime.options
  const { readers } = readPlacesOf(runtime.options)

  const differ = async (
    old: unknown,
    fresh: unknown,
    key: unknown,
    args: readonly unknown[],
  ): Promise<boolean> =>
    !compare(
      await runtime.handler('read', 'old')(key, old, ...args),
      await runtime.handler('read', 'new')(key, fresh, ...args),
    )

  if (independent !== undefined) {
    // No snapshot spans two databases; the locks of the key do.
    const underLocks = async (
      plan: Plan,
      key: unknown,
      args: readonly unknown[],
      queues: boolean,
    ): Promise<boolean> => {
      const text = runtime.textOf(key)
      const { open, lead } = await openHalves(independent, plan, text)
      try {
        const [old, fresh] = [open.get('old'), open.get('new')]
        if (old === undefined || fresh === undefined) return false
        if (!(await differ(old.tx, fresh.tx, key, args))) return false
        const path = lead === 'old' ? 'new' : 'old'
        if (queues) {
          const leading = lead === 'old' ? old : fresh
          await leading.queueRepair({
            migration: runtime.id,
            key: text,
            path,
            epoch: plan.epoch,
            reason: REASON,
          })
          await leading.commit()
        }
        return true
      } finally {
        await rollbackAll(open.values())
      }
    }
    return {
      stands: async (plan, key, args) => {
        const still = await differ(readers.old, readers.new, key, args)
        // Where one path alone is written its lock would say nothing of the other.
        return still && (plan.secondary === undefined || underLocks(plan, key, args, false))
      },
      queue: async (plan, key, args) => {
        await underLocks(plan, key, args, true)
      },
    }
  }

  if (transaction === undefined) {
    return { stands: (_, key, args) => differ(undefined, undefined, key, args), queue: undefined }
  }
  return {
    stands: async (_, key, args) => {
      const snapshot = await transaction.snapshot()
      try {
        return await differ(snapshot.tx, snapshot.tx, key, args)
      } finally {
        await snapshot.rollback()
      }
    },
    queue: async (plan, key, args) => {
      const path = plan.secondary
      if (path === undefined) return
      const text = runtime.textOf(key)
      const handle = await transaction.begin(guardOf(plan, text), false)
      try {
        // Here no write of both paths can be half done.
        if (!(await differ(handle.tx, handle.tx, key, args))) return
        await handle.queueRepair({
          migration: runtime.id,
          key: text,
          path,
          epoch: plan.epoch,
          reason: REASON,
        })
        await handle.commit()
      } finally {
        await handle.rollback()
      }
    },
  }
}
