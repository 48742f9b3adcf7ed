import type { Path } from '@switchback/migrations-registry'
import { type Key, type Range, type Side, sampleKeys, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { ReverseMapping } from '../mapping/reverse-mapping.ts'
import type { Connection, Target } from '../target/target.ts'
import { isWhole, JOIN_BY_HASH, JOIN_BY_INDEX, type Slice, sidesOf, slicesOf } from '../walks/slices.ts'
import { type Difference, differencesOf, differencesWithin, keyOfBoth, type Pair } from './compare.ts'
import { type KeysRepaired, repairKeys } from './repair-keys.ts'

/** How the two paths are compared, wherever new is. Connections are to the target. */
export interface Comparing {
  readonly mapping: Mapping
  readonly leader: Path
  /** There where new leads. */
  readonly reverse?: ReverseMapping
  /** Every routed write is at READ COMMITTED: none has an older snapshot that the next pass would have to outwait. */
  readonly readCommitted?: true
  /** What is compared apart; asked for when a verification begins, and kept with it. */
  slices(): Promise<readonly Slice[]>
  /** Keys drawn from all over by a seed, and how many of them differ. */
  sample(on: Connection, seed: number): Promise<{ readonly keys: number; readonly differing: number }>
  /** Rows of both, at one moment where that can be had; those of new where they can be counted. */
  count(on: Connection): Promise<{ readonly old: number; readonly new?: number }>
  /** What differs in a range of a slice, which ends at `upTo` if that is set; else after `chunk` rows or so. */
  compare(on: Connection, slice: Slice, range: Range, chunk: number): Promise<Compared>
  /** Looks at keys again under their locks, and copies what still differs from the leader. */
  repair(on: Connection, keys: readonly Key[]): Promise<KeysRepaired>
  method(slices: readonly Slice[]): string
}

export interface Compared {
  /** Where the range ends; undefined at the end of its slice. */
  readonly upTo: Key | undefined
  readonly found: readonly Difference[]
  /** About how many rows were compared. */
  readonly rows: number
}

const SAMPLE = 1_000
const BY_KEY = 'merge join by chunks of keys, both tables in one snapshot each'
const BY_HASH = 'hash join by slices of keys, both tables in one snapshot each'

/** Both tables in one database. */
export async function comparingTables(target: Target, pair: Pair): Promise<Comparing> {
  const { mapping, leader } = pair
  const sides = await sidesOf(target, mapping)
  return {
    mapping,
    leader,
    ...(pair.leader === 'new' ? { reverse: pair.reverse } : {}),
    slices: () => slicesOf(target, mapping),
    sample: async (on, seed) => {
      const keys = await sampleKeys(on, mapping[leader], SAMPLE, seed)
      const found = keys.length === 0 ? [] : await differencesOf(on, pair, keys)
      return { keys: keys.length, differing: found.length }
    },
    // A single statement has a single snapshot.
    count: async (on) => {
      const count = (side: Side) => `(select count(*) from ${side.table} where ${within(side, {})})`
      const { rows } = await on.query<{ old: number; new: number }>(
        `select ${count(mapping.old)} as old, ${count(mapping.new)} as new`,
      )
      return { old: rows[0]?.old ?? 0, new: rows[0]?.new ?? 0 }
    },
    compare: async (on, slice, { after, upTo: end }, chunk) => {
      const both = sides(slice)
      if (isWhole(slice)) {
        await on.query(JOIN_BY_HASH)
        const found = await differencesWithin(on, pair, { after: undefined, upTo: undefined }, both)
        return { upTo: undefined, found, rows: slice.rows }
      }
      await on.query(JOIN_BY_INDEX)
      const upTo = end ?? (await keyOfBoth(on, both, after, chunk))
      return { upTo, found: await differencesWithin(on, pair, { after, upTo }, both), rows: chunk }
    },
    repair: (on, keys) => repairKeys(on, pair, keys),
    method: (slices) => (slices.some(({ hashed }) => hashed !== undefined) ? BY_HASH : BY_KEY),
  }
}
