import type { Path } from '@switchback/migrations-registry'
import type { WorkOrder } from '@switchback/server/protocol'
import { DbError } from '../database/db-error.ts'
import type { KeyRange } from '../database/relation.ts'
import type { Session } from '../database/session.ts'
import {
  compareChunk,
  copyChunk,
  fillChunk,
  hasStray,
  keyLock,
  repairKey,
  sweepChunk,
} from '../database/target.ts'
import type { Isolation } from '../database/transaction.ts'
import type { SimProcess } from '../world/process.ts'
import type { Random } from '../world/random.ts'
import type { Mutant } from './mutants.ts'
import { CHECKPOINTS, COPIES, MIGRATION, REPAIR_ROWS, TABLES } from './tables.ts'

export interface CopyTools {
  /** Lends a connection of its own for the time of `work`. */
  connected<Result>(work: (session: Session) => Promise<Result>): Promise<Result>
  readonly process: SimProcess
  readonly random: Random
  readonly mutant: Mutant | undefined
}

const TRANSIENT = new Set(['40001', '40P01', '55P03', '08006'])
const MAX_PASSES = 5
/** Everything there is, in two ranges, so that a crash can come in between. */
const RANGES: readonly KeyRange[] = [{ to: 'k1' }, { from: 'k1' }]

/** Tries again what lost against others, on another connection. */
async function persistently<Result>(
  { connected, process, random }: CopyTools,
  signal: AbortSignal,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  for (;;) {
    signal.throwIfAborted()
    try {
      return await connected(work)
    } catch (error) {
      if (!(error instanceof DbError) || !TRANSIENT.has(error.code)) throw error
      await process.delay(random.between(1, 10), signal)
    }
  }
}

async function inTransaction<Result>(
  session: Session,
  isolation: Isolation,
  work: () => Promise<Result>,
): Promise<Result> {
  await session.begin(isolation)
  const result = await work()
  await session.commit()
  return result
}

/** Waits until every transaction is gone that may have a snapshot from before now. */
async function waitForOlderSnapshots(tools: CopyTools, signal: AbortSignal): Promise<void> {
  await persistently(tools, signal, async (session) => {
    const xid = await session.xid()
    while (await session.olderSnapshots(xid)) {
      signal.throwIfAborted()
      await tools.process.delay(3, signal)
    }
  })
}

async function whileHeldBack({ process }: CopyTools, { heldBackBy, signal }: WorkOrder): Promise<void> {
  while (heldBackBy() !== undefined) {
    signal.throwIfAborted()
    await process.delay(20, signal)
  }
}

interface CopyHow {
  readonly lockSource: boolean
  readonly overwrite: boolean
}

/** Names of the checkpoints of the first look and of the second. */
const checkpointsOf = ({ epoch }: WorkOrder, look: 'first' | 'second'): readonly string[] =>
  RANGES.map((_, at) => `${epoch} ${look} ${at}`)

/** What is older than this has ended before the copy began, whoever goes on with it. */
const horizonOf = (tools: CopyTools, { epoch, signal }: WorkOrder): Promise<number> =>
  persistently(tools, signal, async (session) => {
    const known = await session.get(COPIES, `${epoch}`)
    if (known !== undefined) return known
    const horizon = await session.statement(
      () => 'horizon',
      (on) => on.db.takeSnapshot().xmin,
    )
    await session.upsert(COPIES, `${epoch}`, horizon)
    return horizon
  })

/** Every range that is not done, each in one statement that does not wait for the disk. */
async function copyRanges(tools: CopyTools, order: WorkOrder, how: CopyHow, since?: number): Promise<void> {
  // Where the fast way has been in vain, the next range is not tried in it.
  let careful = false
  const checkpoints = checkpointsOf(order, since === undefined ? 'first' : 'second')
  for (const [at, range] of RANGES.entries()) {
    await whileHeldBack(tools, order)
    const checkpoint = checkpoints[at] ?? ''
    await persistently(tools, order.signal, async (session) => {
      if ((await session.get(CHECKPOINTS, checkpoint)) === true) return
      const places = `(${range.from ?? ''}, ${range.to ?? ''}]`
      if (careful) careful = false
      else if (since === undefined) {
        const filled = await session
          .statement(
            () => `fill ${places}`,
            async (on) => {
              on.tx.waitsForDisk = false
              const found = await fillChunk(TABLES.old, TABLES.new, range, { lockSource: false })(on)
              if (found !== undefined) await on.upsert(CHECKPOINTS, checkpoint, true)
              return found !== undefined
            },
          )
          .catch((error: unknown) => {
            if (!(error instanceof DbError) || error.code !== '23505') throw error
            careful = true
            return false
          })
        if (filled) return
      }
      await session.statement(
        () => `copy ${places}${since === undefined ? '' : ` since ${since}`}`,
        async (on) => {
          on.tx.waitsForDisk = false
          await on.upsert(CHECKPOINTS, checkpoint, true)
          await copyChunk(TABLES.old, TABLES.new, range, {
            ...how,
            ...(since === undefined ? {} : { since }),
          })(on)
        },
      )
    })
  }
}

/** Waits until a look is on disk. False where a crash of the target has taken ranges back. */
const settleCopy = (tools: CopyTools, order: WorkOrder, look: 'first' | 'second'): Promise<boolean> =>
  persistently(tools, order.signal, (session) =>
    session.statement(
      () => 'settle the copy',
      async (on) => {
        await on.upsert(CHECKPOINTS, `${order.epoch} ended`, true)
        return checkpointsOf(order, look).every((checkpoint) => on.get(CHECKPOINTS, checkpoint) === true)
      },
    ),
  )

const WITHOUT_WAITING = new Set<Mutant | undefined>([
  'second-look-without-waiting',
  'sweep-before-old-snapshots',
])

/** Once the first look is on disk and nobody is left who may have missed one of its rows; whoever goes on knows. */
const openSecondLook = (tools: CopyTools, { epoch, signal }: WorkOrder): Promise<void> =>
  persistently(tools, signal, async (session) => {
    const opened = `${epoch} opened`
    if ((await session.get(CHECKPOINTS, opened)) === true) return
    if (!WITHOUT_WAITING.has(tools.mutant)) await waitForOlderSnapshots(tools, signal)
    await session.upsert(CHECKPOINTS, opened, true)
  })

/** Copies history from old to new, looks again at what was written meanwhile, removes what old no longer has. */
export async function backfill(tools: CopyTools, order: WorkOrder): Promise<void> {
  const { mutant } = tools
  const { signal } = order
  const how = {
    lockSource: mutant !== 'second-look-without-row-lock',
    overwrite: mutant !== 'backfill-does-not-overwrite',
  }
  const horizon = await horizonOf(tools, order)
  do await copyRanges(tools, order, how)
  while (!(await settleCopy(tools, order, 'first')))
  if (mutant !== 'no-second-look') {
    await openSecondLook(tools, order)
    do await copyRanges(tools, order, how, horizon)
    while (!(await settleCopy(tools, order, 'second')))
  }
  if (mutant === 'no-sweep') return
  if (mutant !== 'sweep-before-old-snapshots') await waitForOlderSnapshots(tools, signal)
  const isolation = mutant === 'sweep-read-committed' ? 'read committed' : 'repeatable read'
  for (const range of RANGES) {
    await whileHeldBack(tools, order)
    await persistently(tools, signal, async (session) => {
      const found = await inTransaction(session, isolation, () =>
        session.statement(() => 'look for strays', hasStray(TABLES.old, TABLES.new, range)),
      )
      if (!found) return
      await inTransaction(session, isolation, () =>
        session.statement(() => 'sweep', sweepChunk(TABLES.old, TABLES.new, range)),
      )
    })
  }
}

/** Compares both tables and repairs from the leader what differs, until a whole pass is clean. */
export async function reconcile(tools: CopyTools, order: WorkOrder, leader: Path): Promise<number> {
  for (let pass = 1; ; pass++) {
    await whileHeldBack(tools, order)
    const found = await persistently(tools, order.signal, (session) =>
      session.statement(() => 'compare', compareChunk(TABLES.old, TABLES.new, {})),
    )
    let standing = 0
    for (const difference of found) {
      if (tools.mutant === 'mismatch-without-recheck') {
        const value = difference[leader]
        await persistently(tools, order.signal, (session) =>
          copyValue(session, difference.key, leader, value),
        )
        continue
      }
      const repaired = await persistently(tools, order.signal, (session) =>
        inTransaction(session, 'read committed', async () => {
          const done = await repairKeyed(session, difference.key, leader)
          if (done === 'missing') await keepQueued(session, difference.key, leader)
          return done
        }),
      )
      if (repaired !== 'equal') standing++
    }
    if (standing === 0 || pass === MAX_PASSES) return standing
    await waitForOlderSnapshots(tools, order.signal)
  }
}

type Repaired = 'equal' | 'missing' | 'repaired'

/** One key under its lock: looked at again, and copied from the leader where it still differs. */
async function repairKeyed(session: Session, key: string, leader: Path): Promise<Repaired> {
  await session.lock(keyLock(MIGRATION, key), 'exclusive')
  const [old, fresh] = await session.statement(
    () => `look at ${key} again`,
    (on) => [on.get(TABLES.old, key), on.get(TABLES.new, key)] as const,
  )
  if (old === fresh) return 'equal'
  // Old first, as in dual operations, whoever leads.
  await session.lockRow(TABLES.old, key)
  if (leader === 'new') await session.lockRow(TABLES.new, key)
  const value = await session.get(TABLES[leader], key)
  await copyValue(session, key, leader, value)
  const follower = leader === 'old' ? fresh : old
  return follower === undefined ? 'missing' : 'repaired'
}

/** What verification copies of a key that waits for repair is not settled yet, as little as what the worker does. */
async function keepQueued(session: Session, key: string, leader: Path): Promise<void> {
  await session.update(
    REPAIR_ROWS,
    repairKey(MIGRATION, key),
    ({ settlesAfter: _, ...row }) => ({ ...row, copied: true }),
    ({ path }) => path !== leader,
  )
}

async function copyValue(
  session: Session,
  key: string,
  leader: Path,
  value: string | undefined,
): Promise<Repaired> {
  const to = leader === 'old' ? TABLES.new : TABLES.old
  if (value === undefined) await session.remove(to, key)
  else await session.upsert(to, key, value)
  return 'repaired'
}

/** Copies keys that wait for repair; a row that had been missing is looked at once more when older snapshots are gone. */
export async function repairSome(tools: CopyTools, migration: string, limit: number): Promise<number> {
  return tools.connected(async (session) => {
    const rows = (await session.scan(REPAIR_ROWS)).slice(0, limit)
    let done = 0
    const again: (readonly [string, Path])[] = []
    for (const [id, { path }] of rows) {
      const [, key = ''] = id.split('\u001f')
      const outcome = await attempt(session, migration, key, path)
      if (outcome === 'done') done++
      if (outcome === 'copied') again.push([key, path])
    }
    if (again.length === 0) return done
    await session.statement(
      () => 'repairs settle',
      async (on) => {
        const settlesAfter = on.db.xidOf(on.tx)
        for (const [id, row] of on.scan(REPAIR_ROWS)) {
          if (row.copied !== true || row.settlesAfter !== undefined) continue
          await on.update(REPAIR_ROWS, id, (now) => ({ ...now, settlesAfter }))
        }
      },
    )
    for (const [key, path] of again) if ((await attempt(session, migration, key, path)) === 'done') done++
    return done
  })
}

type Outcome = 'done' | 'copied' | 'waiting' | 'failed'

async function attempt(session: Session, migration: string, key: string, path: Path): Promise<Outcome> {
  try {
    return await inTransaction(session, 'read committed', () => repairOne(session, migration, key, path))
  } catch (error) {
    if (!(error instanceof DbError) || error.code === '08006') throw error
    await session.rollback()
    return 'failed'
  }
}

async function repairOne(session: Session, migration: string, key: string, path: Path): Promise<Outcome> {
  await session.lock(keyLock(migration, key), 'exclusive')
  const id = repairKey(migration, key)
  const found = await session.lockRow(REPAIR_ROWS, id)
  if (found?.path !== path) return 'waiting'
  if (found.copied === true) {
    if (found.settlesAfter === undefined) return 'copied'
    if (await session.olderSnapshots(found.settlesAfter)) return 'waiting'
  }
  const repaired = await repairKeyed(session, key, path === 'new' ? 'old' : 'new')
  if (repaired === 'missing') {
    await session.update(REPAIR_ROWS, id, ({ settlesAfter: _, ...row }) => ({ ...row, copied: true }))
    return 'copied'
  }
  await session.remove(REPAIR_ROWS, id)
  return 'done'
}
