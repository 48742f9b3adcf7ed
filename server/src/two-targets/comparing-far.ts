import type { Difference } from '../comparing/compare.ts'
import type { Compared, Comparing } from '../comparing/comparing.ts'
import { countRows, keyAt, type Range, sampleKeys } from '../mapping/keyset.ts'
import type { Connection } from '../target/target.ts'
import { hashedSlices, type Slice } from '../walks/slices.ts'
import { LOCK_TIMEOUT_MS, underLocks } from './both.ts'
import { farDifferencesOf, farDifferencesWithin } from './compare-far.ts'
import { farDifferencesByHash, placesOf, shareOf } from './compare-hashed.ts'
import type { Connections, FarPair, Targets } from './pair.ts'
import { settleKeys } from './repair-far.ts'

const ROWS_AT_ONCE = 50_000
const SAMPLE = 1_000
const BY_KEY = 'checksums by chunks of keys, halved down to the rows that differ'
const BY_HASH = 'checksums by hash of the key, narrowed down to the rows that differ'

/**
 * The tables of two databases. Where a verification stands is kept in that of old, whose connection is handed in.
 *
 * @param most rows that are compared row by row at once, where they are had by the hash of their keys
 */
export function comparingFar(
  targets: Targets,
  pair: FarPair,
  signal: AbortSignal,
  most: number = ROWS_AT_ONCE,
): Comparing {
  const { mapping, leader, reverse } = pair
  const withNew = <T>(old: Connection, work: (on: Connections) => Promise<T>): Promise<T> =>
    targets.new.cancellable(signal, async (fresh) => {
      await fresh.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
      return work({ old, new: fresh })
    })

  return {
    mapping,
    leader,
    ...(reverse === undefined ? {} : { reverse }),
    readCommitted: true,
    slices: async () =>
      (await hashedSlices(targets, pair)) ?? [
        { name: mapping.copy.from, rows: await countRows(targets.old, pair.old) },
      ],
    sample: (old, seed) =>
      withNew(old, async (on) => {
        const keys = await sampleKeys(on[leader], pair[leader], SAMPLE, seed)
        const found = keys.length === 0 ? [] : await farDifferencesOf(on, pair, keys)
        return { keys: keys.length, differing: found.length }
      }),
    count: async (old) => ({
      old: await countRows(old, pair.old),
      new: await countRows(targets.new, pair.new),
    }),
    compare: (old, slice, range, chunk) =>
      withNew(old, (on) =>
        slice.hashed === undefined
          ? compareByKey(on, pair, range, chunk)
          : compareByHash(on, pair, range, { ...slice, hashed: slice.hashed }, most),
      ),
    repair: (old, keys) => withNew(old, (on) => underLocks(on, pair, keys, () => settleKeys(on, pair, keys))),
    method: (slices) => (slices.some(({ hashed }) => hashed !== undefined) ? BY_HASH : BY_KEY),
  }
}

async function compareByKey(
  on: Connections,
  pair: FarPair,
  { after, upTo: end }: Range,
  chunk: number,
): Promise<Compared> {
  const rest = { after, upTo: undefined }
  const upTo =
    end ?? (await keyAt(on.old, pair.old, rest, chunk)) ?? (await keyAt(on.new, pair.new, rest, chunk))
  return { upTo, found: await farDifferencesWithin(on, pair, { after, upTo }), rows: chunk }
}

/** What a pass looks at again is a range with an end: it is gone through to there, however much differs in it. */
async function compareByHash(
  on: Connections,
  pair: FarPair,
  { after, upTo: end }: Range,
  { hashed, rows }: Slice & Required<Pick<Slice, 'hashed'>>,
  most: number,
): Promise<Compared> {
  const all = placesOf(hashed)
  const upTo = end ?? all.upTo
  const found: Difference[] = []
  for (let from = after ?? all.after; ; ) {
    const part = await farDifferencesByHash(on, pair, { after: from, upTo }, hashed.of, most)
    found.push(...part.found)
    const ended = part.upTo === upTo
    if (ended || end === undefined) {
      const share = shareOf({ after: after ?? all.after, upTo: part.upTo }) * hashed.of
      // The end of a slice is not told as a place: nothing of it is left.
      return { upTo: ended ? end : part.upTo, found, rows: Math.round(rows * share) }
    }
    from = part.upTo
  }
}
