import { createHash } from 'node:crypto'
import type { Key } from '../mapping/keyset.ts'
import type { Sql } from '../target/target.ts'
import type { Slice } from '../walks/slices.ts'
import type { Difference } from './compare.ts'

/** A range as it is kept: JSON knows no undefined. */
export interface KeptRange {
  /** Place in `slices`; the first where it is left out. */
  readonly slice?: number
  readonly after?: Key
  readonly upTo?: Key
}

/** Where a verification stands; kept in the target, so that whoever takes it up goes on there. */
export interface PassState {
  readonly pass: number
  /** What is compared apart; everything together where it is left out. */
  readonly slices?: readonly Slice[]
  /** Ranges of this pass that are still to be compared. The first pass begins with everything. */
  readonly ranges: readonly KeptRange[]
  /** Ranges of this pass in which something was, or is just being, repaired: the next pass looks there again. */
  readonly dirty: readonly KeptRange[]
  readonly chunks: number
  /** About how many rows were compared. */
  readonly rows?: number
  readonly repaired: number
  /** Differences that stood, and those that were left, in this pass. */
  readonly standing: number
  readonly left: number
  /** Over every chunk: its bounds, and how many differences were found in it. */
  readonly digest: string
  /** The first that stood under the lock. */
  readonly mismatches: readonly (Omit<Difference, 'key'> & { readonly key: string })[]
  /** Why keys could not be repaired, for the first of them. */
  readonly faults: readonly { readonly key: string; readonly error: string }[]
}

export const firstPass = (slices: readonly Slice[]): PassState => ({
  slices,
  ...{
    pass: 1,
    ranges: slices.map((_, slice) => ({ slice })),
    dirty: [],
    chunks: 0,
    repaired: 0,
    standing: 0,
    left: 0,
    digest: '',
  },
  ...{ mismatches: [], faults: [] },
})

export const addToDigest = (digest: string, { slice, after, upTo }: KeptRange, found: number): string =>
  createHash('sha256')
    .update(digest)
    .update(JSON.stringify([slice ?? 0, after ?? null, upTo ?? null, found]))
    .digest('hex')

/** What is verified; of another epoch, or by another mapping, what is kept says nothing. */
export interface PassId {
  readonly migration: string
  readonly leader: string
  readonly epoch: number
  readonly mapping: string
}

export interface PassRecord {
  read(): Promise<PassState | undefined>
  write(state: PassState): Promise<void>
  forget(): Promise<void>
}

export function createPassRecord(on: Sql, { migration, leader, epoch, mapping }: PassId): PassRecord {
  return {
    read: async () => {
      const { rows } = await on.query<{ state: PassState }>(
        `select state from switchback.verifications
         where migration = $1 and leader = $2 and epoch = $3 and mapping = $4`,
        [migration, leader, epoch, mapping],
      )
      return rows[0]?.state
    },
    write: async (state) => {
      await on.query(
        `insert into switchback.verifications (migration, leader, epoch, mapping, state) values ($1, $2, $3, $4, $5)
         on conflict (migration, leader) do update
           set epoch = excluded.epoch, mapping = excluded.mapping, state = excluded.state`,
        [migration, leader, epoch, mapping, state],
      )
    },
    forget: async () => {
      await on.query('delete from switchback.verifications where migration = $1 and leader = $2', [
        migration,
        leader,
      ])
    },
  }
}
