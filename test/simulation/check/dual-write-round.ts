import { Database } from '../database/database.ts'
import { DbError } from '../database/db-error.ts'
import { table } from '../database/relation.ts'
import { Session } from '../database/session.ts'
import { type CopyOptions, copyChunk, enter, sweepChunk } from '../database/target.ts'
import type { Isolation } from '../database/transaction.ts'
import { Network } from '../world/network.ts'
import type { SimProcess } from '../world/process.ts'
import type { Random } from '../world/random.ts'
import { World } from '../world/world.ts'

/** What keeps old and new equal while history is copied; each can be left out to see what it is for. */
export interface Guards extends CopyOptions {
  readonly keyLock: boolean
  readonly sweep: 'repeatable read' | 'read committed' | 'none'
  readonly waitForSnapshots: boolean
  /** Writes to new do not rely on its row being seen: a plain update misses a row that was copied meanwhile. */
  readonly upsertInNew: boolean
}

export const ALL_GUARDS: Guards = {
  lockSource: true,
  overwrite: true,
  keyLock: true,
  sweep: 'repeatable read',
  waitForSnapshots: true,
  upsertInNew: true,
}

export interface Round {
  readonly old: ReadonlyMap<string, string>
  readonly new: ReadonlyMap<string, string>
  readonly steps: number
  readonly trace: readonly string[]
}

const OLD = table<string>('old')
const NEW = table<string>('new')
const KEYS = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5']
const WRITERS = 4
const WRITES = 7

/** One round: writers insert, update and delete hot keys in both paths; meanwhile one copy and one sweep. */
export async function dualWriteRound(
  seed: number,
  isolation: Isolation,
  guards: Guards,
  trace = false,
): Promise<Round> {
  const world = new World({ seed, trace })
  const network = new Network(world, {
    delay: [0.1, 1],
    slowChance: 0.05,
    slow: [1, 20],
    loss: 0,
    duplication: 0,
    notice: [1, 50],
  })
  const db = new Database(world.process('db'), { work: [0, 0.5], deadlockTimeout: [20, 40] })
  const connect = (name: string): [SimProcess, Session] => {
    const process = world.process(name)
    return [process, new Session(network, process, db)]
  }
  const [, setup] = connect('setup')
  for (const key of KEYS) {
    if (world.random.chance(0.7)) void setup.insert(OLD, key, `${key}-0`)
    // Left behind by an earlier try of the same migration; enough of it that some is there still when it is swept.
    if (world.random.chance(0.4)) void setup.insert(NEW, key, `${key}-stale`)
  }
  await world.run()
  let failed: unknown
  const start = (work: Promise<void>) => {
    work.catch((error: unknown) => {
      failed ??= error
    })
  }
  for (let i = 0; i < WRITERS; i++) {
    const [process, session] = connect(`writer-${i}`)
    start(writeMuch(process, session, world.random.fork(), isolation, guards))
  }
  const [process, session] = connect('engine')
  start(copyAndSweep(process, session, world.random.fork(), guards))
  await world.run()
  if (failed !== undefined) throw failed
  return { old: db.committed(OLD), new: db.committed(NEW), steps: world.steps, trace: world.trace }
}

export const equal = ({ old, new: fresh }: Round): boolean =>
  old.size === fresh.size && [...old].every(([key, value]) => fresh.get(key) === value)

async function writeMuch(
  process: SimProcess,
  session: Session,
  random: Random,
  isolation: Isolation,
  guards: Guards,
): Promise<void> {
  for (let i = 1; i <= WRITES; i++) {
    await process.delay(random.between(0, 10))
    const key = random.pick(KEYS)
    const kind = random.pick(['put', 'insert', 'update', 'delete'] as const)
    const value = `${process.name}-${i}`
    await retried(session, async () => {
      const guard = enter({ migration: 'm', epoch: 1, key: guards.keyLock ? key : null })
      await session.begin(isolation, { label: 'enter', body: guard })
      let there = true
      for (const path of [OLD, NEW]) {
        if (kind === 'delete') await session.remove(path, key)
        else if (kind === 'put') await session.upsert(path, key, value)
        else if (path === OLD && kind === 'insert') await session.insert(path, key, value)
        else if (path === OLD) there = await session.update(path, key, () => value)
        else if (!guards.upsertInNew) await session.update(path, key, () => value)
        else if (there) await session.upsert(path, key, value)
      }
      await session.commit()
    })
  }
}

async function copyAndSweep(
  process: SimProcess,
  session: Session,
  random: Random,
  guards: Guards,
): Promise<void> {
  for (const range of [{ to: 'k2' }, { from: 'k2' }]) {
    await process.delay(random.between(0, 40))
    await retried(session, async () => {
      await session.statement(() => 'copy', copyChunk(OLD, NEW, range, guards))
    })
  }
  if (guards.sweep === 'none') return
  const xid = await session.xid()
  while (guards.waitForSnapshots && (await session.olderSnapshots(xid))) await process.delay(2)
  const { sweep } = guards
  await retried(session, async () => {
    await session.begin(sweep)
    await session.statement(() => 'sweep', sweepChunk(OLD, NEW, {}))
    await session.commit()
  })
}

/** Tries again what lost against others; what hurts a constraint is given up. */
async function retried(session: Session, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof DbError)) throw error
      await session.rollback()
      if (error.code === '23505') return
      if (error.code !== '40001' && error.code !== '40P01') throw error
    }
  }
}
