import { newKey, oldValues, upsertInto } from '../copying/copy-chunk.ts'
import { type Key, keyText, orderBy, within } from '../mapping/keyset.ts'
import { type Connection, inTransaction } from '../target/target.ts'
import { among, type Difference, differencesOf, keyParams, type Pair } from './compare.ts'
import { backColumns, emptyOld, insertOld, updateOld } from './copy-back.ts'

export interface KeysRepaired {
  /** Differences that stood under the lock. */
  readonly standing: readonly Difference[]
  /** Those that could not be repaired. */
  readonly left: readonly Difference[]
}

/**
 * Looks at keys again under their locks, in which no dual operation is half done, and copies from the leader
 * what still differs. One transaction; the locks are taken in the order of their text.
 */
export function repairKeys(connection: Connection, pair: Pair, keys: readonly Key[]): Promise<KeysRepaired> {
  return inTransaction(connection, 'begin isolation level read committed', async () => {
    await lockKeys(connection, pair, keys)
    const repaired = await repairLocked(connection, pair, keys)
    await keepQueued(connection, pair, repaired.standing)
    return repaired
  })
}

/**
 * A key that waits for repair and was missing is as good as copied by the repair worker: the worker, who
 * would find it equal now, must not take it off the queue while a delete with an older snapshot may miss it.
 */
async function keepQueued(
  connection: Connection,
  { mapping, leader }: Pair,
  standing: readonly Difference[],
): Promise<void> {
  const missing = standing.filter(({ kind }) => kind === 'missing').map(({ key }) => keyText(key))
  if (missing.length === 0) return
  await connection.query(
    `update switchback.repairs set copied = true, settles_after = null
     where migration = $1 and key = any($2::text[]) and path = $3`,
    [mapping.migration, missing, leader === 'old' ? 'new' : 'old'],
  )
}

/** The key's lock comes before any lock of a row, as in dual operations. */
export async function lockKeys(
  connection: Connection,
  { mapping }: { readonly mapping: { readonly migration: string } },
  keys: readonly Key[],
): Promise<void> {
  const texts = [...new Set(keys.map(keyText))].sort()
  await connection.query('select switchback.lock_key($1, key) from unnest($2::text[]) key', [
    mapping.migration,
    texts,
  ])
}

/** To be called in a transaction at READ COMMITTED that holds the keys' locks. */
export async function repairLocked(
  connection: Connection,
  pair: Pair,
  keys: readonly Key[],
): Promise<KeysRepaired> {
  const standing = await differencesOf(connection, pair, keys)
  if (standing.length === 0) return { standing, left: [] }
  const wrong = standing.map(({ key }) => key)
  if (pair.leader === 'old') await copyForward(connection, pair, wrong)
  else await copyBack(connection, pair, wrong)
  // Triggers, the mapping's condition or a column that cannot be set may stand against it.
  return { standing, left: await differencesOf(connection, pair, wrong) }
}

async function copyForward(connection: Connection, { mapping }: Pair, keys: readonly Key[]): Promise<void> {
  const { old, new: side } = mapping
  const params = keyParams(keys, old.keys.length)
  await connection.prepared(
    `with source as materialized (
       select ${oldValues(mapping)} from ${old.table} where ${among(old, 1)} and ${within(old, {})}
       order by ${orderBy(old)} for no key update of ${old.table.split('.').at(-1)}
     ) ${upsertInto(mapping, 'source')}`,
    params,
  )
  const counterpart = old.keys.map((key, i) => `${key} = ${newKey(mapping, i)}`).join(' and ')
  const ghosts = `${among(side, 1)}
     and not exists (select from ${old.table} where ${counterpart} and ${within(old, {})})`
  // Locked first, and looked at again by the next statement: a writer whom only triggers carry along holds no
  // lock of the key, and may have written both rows since this one looked.
  const { rowCount } = await connection.prepared(
    `select from ${side.table} as switchback_new where ${ghosts} order by ${orderBy(side)} for update`,
    params,
  )
  if (rowCount === 0) return
  await connection.prepared(`delete from ${side.table} as switchback_new where ${ghosts}`, params)
}

async function copyBack(
  connection: Connection,
  { mapping, reverse }: Extract<Pair, { leader: 'new' }>,
  keys: readonly Key[],
): Promise<void> {
  const { old, new: side } = mapping
  const params = keyParams(keys, old.keys.length)
  // Old first, as in dual operations, whoever leads.
  await connection.prepared(
    `select from ${old.table} where ${among(old, 1)} order by ${orderBy(old)} for no key update`,
    params,
  )
  await connection.prepared(
    `select from ${side.table} where ${among(side, 1)} order by ${orderBy(side)} for no key update`,
    params,
  )
  const source = `select ${[
    ...side.keys.map((key, i) => `${key} as switchback_k${i}`),
    ...backColumns(reverse).map(
      ({ expression, column }, i) => `(${expression})::${column.type} as switchback_c${i}`,
    ),
  ].join(', ')} from ${side.table} where ${among(side, 1)}`
  // Not a correlated subquery: inside of it a key of old would mean the column of new that has the same name.
  const gone = `${among(old, 1)} and ${within(old, {})} and (${old.keys.join(', ')}) not in (
    select ${side.keys.join(', ')} from ${side.table} where ${among(side, 1)})`
  for (const text of [
    updateOld(mapping, reverse, source),
    insertOld(mapping, reverse, source),
    emptyOld(mapping, reverse, gone),
  ]) {
    if (text !== undefined) await connection.prepared(text, params)
  }
}
