import type { MigrationDefinition, Path } from '@switchback/migrations-registry'
import { reasonOf } from '../comparing/reconcile.ts'
import type { KeysRepaired } from '../comparing/repair-keys.ts'
import { isThere, noteFailure } from '../comparing/repairs.ts'
import type { WritesInProgress } from '../execution/execution-port.ts'
import { KEY_SEPARATOR, type Key } from '../mapping/keyset.ts'
import type { OpenRepairs } from '../phases/phase-service.ts'
import { isTransient, messageOf } from '../target/execution-error.ts'
import type { Sql } from '../target/target.ts'
import { onBoth, underLocks } from './both.ts'
import { farDifferencesOf } from './compare-far.ts'
import { copyKeysFar } from './copy-far.ts'
import { type Connections, describeFarMapping, type FarPair, farPair, type Targets } from './pair.ts'

/**
 * Older than this, an intent is hardly of a write in progress. Only a guess, and nothing hangs on it: a key is
 * copied under its locks in both databases, which a write in progress holds.
 */
const GRACE_SECONDS = 2

const other = (path: Path): Path => (path === 'old' ? 'new' : 'old')

/** What is known of a path that is behind is kept in the database of the one that is ahead. */
async function waitingFor(
  on: Sql,
  migration: string,
  path: Path,
  inProgress: WritesInProgress | undefined,
): Promise<number> {
  if (!(await isThere(on, 'switchback.intents'))) return 0
  const { rows } = await on.query<{ count: number }>(
    `select count(distinct key) as count from (
       select key from switchback.repairs where migration = $1 and path = $2
       union all
       select key from switchback.intents
       where migration = $1 and path = $2
         and ($3::bigint is null or epoch < $3
              or written_at < clock_timestamp() - make_interval(secs => ${GRACE_SECONDS}))
     ) waiting`,
    [migration, path, inProgress?.path === path ? inProgress.epoch : null],
  )
  return rows[0]?.count ?? 0
}

export async function openFarRepairs(
  { old, new: fresh }: Targets,
  migration: string,
  inProgress: WritesInProgress | undefined,
): Promise<OpenRepairs> {
  const [behindOld, behindNew] = await Promise.all([
    waitingFor(fresh.aside, migration, 'old', inProgress),
    waitingFor(old.aside, migration, 'new', inProgress),
  ])
  return { old: behindOld, new: behindNew }
}

/** Turns intents that nobody removed into repairs. One statement: the key is known to be behind throughout. */
async function takeOver(on: Sql, migration: string): Promise<void> {
  await on.query(
    `with left_over as (
       delete from switchback.intents
       where migration = $1 and written_at < clock_timestamp() - make_interval(secs => ${GRACE_SECONDS})
       returning key, path, epoch
     )
     insert into switchback.repairs (migration, key, path, epoch, reason)
     select $1, key, path, max(epoch), 'the second write was not confirmed' from left_over group by key, path
     on conflict (migration, key, path) do update
       set epoch = greatest(repairs.epoch, excluded.epoch), reason = excluded.reason`,
    [migration],
  )
}

/** Copies from the leader what differs of these keys. To be called under their locks. */
export async function settleKeys(
  on: Connections,
  pair: FarPair,
  keys: readonly Key[],
): Promise<KeysRepaired> {
  const standing = await farDifferencesOf(on, pair, keys)
  if (standing.length === 0) return { standing, left: [] }
  const wrong = standing.map(({ key }) => key)
  await copyKeysFar(on, pair, wrong)
  return { standing, left: await farDifferencesOf(on, pair, wrong) }
}

async function repairOne(on: Connections, pair: FarPair, key: string): Promise<boolean> {
  const { migration, keyColumns } = pair.mapping
  const parts = keyColumns.length === 1 ? [key] : key.split(KEY_SEPARATOR)
  const [home, away] = [on[pair.leader], on[other(pair.leader)]]
  const id = [migration, key, other(pair.leader)]
  return underLocks(on, pair, [parts], async () => {
    // Another worker may have done it.
    const { rows } = await home.query(
      'select from switchback.repairs where migration = $1 and key = $2 and path = $3',
      id,
    )
    if (rows.length === 0) return false
    const opposite = await away.query<{ open: boolean }>(
      'select switchback.repair_open($1, $2, $3) as open',
      [migration, key, pair.leader],
    )
    if (opposite.rows[0]?.open === true) {
      throw new Error('each path is behind in what the other one has: a person has to decide which is right')
    }
    const { left } = await settleKeys(on, pair, [parts])
    const [stuck] = left
    if (stuck !== undefined) throw new Error(reasonOf(pair, stuck.kind))
    await home.query('delete from switchback.repairs where migration = $1 and key = $2 and path = $3', id)
    return true
  })
}

/** Copies keys that wait for repair out of the database of the path that is ahead. Returns how many are done. */
export async function repairSomeFar(
  targets: Targets,
  definition: MigrationDefinition,
  limit: number,
): Promise<number> {
  const { id } = definition
  let done = 0
  for (const leader of ['old', 'new'] as const) {
    const home = targets[leader]
    await takeOver(home, id)
    const { rows } = await home.query<{ key: string }>(
      `select key from switchback.repairs where migration = $1 and path = $2
       order by attempts, queued_at, key limit $3`,
      [id, other(leader), limit],
    )
    if (rows.length === 0) continue
    const pair = await farPair(targets, await describeFarMapping(targets, definition), leader)
    done += await onBoth(targets, new AbortController().signal, async (on) => {
      let repaired = 0
      for (const { key } of rows) {
        try {
          if (await repairOne(on, pair, key)) repaired += 1
        } catch (error) {
          // Somebody holds the key, or a connection is gone: the next round meets the entry as it was.
          if (isTransient(error)) continue
          await noteFailure(home, id, { key, path: other(leader) }, messageOf(error))
        }
      }
      return repaired
    })
  }
  return done
}
