import type { Heartbeat, Position } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'
import { type Scoped, scopeKey } from '../tokens/tokens.ts'
import { judgeClaims } from './claims.ts'
import type { FleetRefusal, FleetResult } from './fleet-port.ts'
import { type Beat, type StoredBeats, storeBeats } from './heartbeat-store.ts'
import { judgePositions, storable } from './registration.ts'

type Answer = FleetResult<{ readonly leaseMs: number }>

interface Pending {
  readonly instance: string
  readonly incarnation: string
  readonly sender: Scoped
  readonly positions: Map<string, Position>
  readonly resolve: ((answer: Answer) => void)[]
}

interface Known {
  readonly positions: Map<string, Position>
  at: number
}

export interface Heartbeats {
  /** Resolves once the beat is stored, with all that arrived about the same time. */
  add(instance: string, incarnation: string, beat: Heartbeat, sender: Scoped): Promise<Answer>
  /** Positions that a registration has just stored, so that the same need not be written again. */
  prime(instance: string, incarnation: string, positions: Heartbeat['positions'], sender: Scoped): void
  /** Stores what is waiting, and takes nothing more. */
  stop(): Promise<void>
}

export interface HeartbeatsOptions {
  readonly db: Queryable
  readonly server: string
  readonly leaseMs: number
  readonly monotonic: () => number
  readonly onStored: (stored: StoredBeats, sentAt: number, answeredAt: number) => void
  readonly onError: (error: unknown) => void
}

/** Shortest time between two flushes: while positions change, and while leases are merely renewed. */
const CHANGES_MS = 20
const LEASES_MS = 500
/** Answers given in one turn of the event loop: thousands in a row would keep everybody else waiting. */
const ANSWERS = 200

/** The lengths tell where one ends and the other begins, whatever they are made of. */
const processOf = (instance: string, incarnation: string): string =>
  `${instance.length} ${incarnation.length} ${instance} ${incarnation}`

/** Senders of other scopes are kept apart: what is refused to one must not be refused to the other. */
const keyOf = (instance: string, incarnation: string, sender: Scoped): string =>
  `${processOf(instance, incarnation)} ${scopeKey(sender) ?? ''}`

/** Collects heartbeats and stores them in sets: at once when idle, else paced by how urgent they are. */
export function createHeartbeats(options: HeartbeatsOptions): Heartbeats {
  const { monotonic, leaseMs } = options
  let pending = new Map<string, Pending>()
  /** What this server knows to be stored. Of an instance that moved to another server it is merely too low. */
  const known = new Map<string, Known>()
  let urgent = false
  let lastFlush = Number.NEGATIVE_INFINITY
  let lastPrune = monotonic()
  let timer: NodeJS.Timeout | undefined
  /** Whether the timer is set for what is urgent. */
  let armed = false
  let flushing: Promise<void> | undefined
  let stopped = false

  function schedule(): void {
    if (flushing !== undefined || pending.size === 0) return
    // Thousands come before a flush is due: the timer is set once, and again where it has become urgent.
    if (timer !== undefined && armed === urgent && !stopped) return
    armed = urgent
    const wait = lastFlush + (urgent ? CHANGES_MS : LEASES_MS) - monotonic()
    clearTimeout(timer)
    timer = setTimeout(
      () => {
        timer = undefined
        flushing = flush().finally(() => {
          flushing = undefined
          schedule()
        })
      },
      stopped ? 0 : Math.max(0, wait),
    )
  }

  async function flush(): Promise<void> {
    const batch = pending
    pending = new Map()
    urgent = false
    lastFlush = monotonic()
    const beats: Beat[] = [...batch.values()]
    try {
      const stored = await storeBeats(options.db, beats, options)
      const now = monotonic()
      const refused = new Map(stored.refused.map((r) => [processOf(r.instance, r.incarnation), r.why]))
      const whyNot = ({ instance, incarnation }: Pending) => refused.get(processOf(instance, incarnation))
      // In one go: what is known must not be older than a registration that comes while answers are given.
      for (const [key, entry] of batch) {
        if (whyNot(entry) !== undefined) known.delete(key)
        else remember(key, entry.positions, now)
      }
      prune(now)
      options.onStored(stored, lastFlush, now)
      let answered = 0
      for (const entry of batch.values()) {
        const why = whyNot(entry)
        const answer: Answer =
          why === undefined ? { ok: true, value: { leaseMs } } : { ok: false, error: REFUSALS[why] }
        for (const resolve of entry.resolve) resolve(answer)
        if (++answered % ANSWERS === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    } catch (error) {
      options.onError(error)
      for (const entry of batch.values()) {
        for (const resolve of entry.resolve) resolve({ ok: false, error: STORE_UNAVAILABLE })
      }
    }
  }

  function remember(key: string, positions: ReadonlyMap<string, Position>, at: number): void {
    const before = known.get(key)
    if (before === undefined) {
      known.set(key, { positions: new Map(positions), at })
      return
    }
    before.at = at
    for (const [migration, position] of positions) before.positions.set(migration, position)
  }

  /** Instances that went elsewhere, or away. */
  function prune(now: number): void {
    if (now - lastPrune < leaseMs) return
    lastPrune = now
    for (const [key, { at }] of known) if (now - at > 2 * leaseMs) known.delete(key)
  }

  return {
    add(instance, incarnation, beat, sender) {
      const refusal = judgePositions(beat.positions) ?? judgeClaims(beat, sender)
      if (refusal !== undefined) return Promise.resolve({ ok: false, error: refusal })
      if (stopped) return Promise.resolve({ ok: false, error: STORE_UNAVAILABLE })
      const key = keyOf(instance, incarnation, sender)
      const entry: Pending = pending.get(key) ?? {
        instance,
        incarnation,
        sender,
        positions: new Map(),
        resolve: [],
      }
      pending.set(key, entry)
      const before = known.get(key)?.positions
      for (const [migration, position] of Object.entries(beat.positions)) {
        const stored = before?.get(migration)
        const inBatch = entry.positions.get(migration)
        if (inBatch === undefined && stored !== undefined && isSame(stored, position)) continue
        if (!storable(migration) || !storable(position.oldest?.kind ?? '')) continue
        entry.positions.set(migration, inBatch === undefined ? position : newer(inBatch, position))
        if (stored === undefined || isHigher(stored, position)) urgent = true
      }
      return new Promise((resolve) => {
        entry.resolve.push(resolve)
        schedule()
      })
    },
    prime(instance, incarnation, positions, sender) {
      const key = keyOf(instance, incarnation, sender)
      known.set(key, { positions: new Map(Object.entries(positions)), at: monotonic() })
    },
    async stop() {
      stopped = true
      while (pending.size > 0 || flushing !== undefined) {
        schedule()
        await (flushing ?? new Promise((resolve) => setImmediate(resolve)))
      }
      clearTimeout(timer)
    },
  }
}

/** An operation in flight grows older: its age is worth a write, though not an urgent one. */
const isSame = (stored: Position, given: Position): boolean =>
  !isHigher(stored, given) && stored.oldest === undefined && given.oldest === undefined

const isHigher = (stored: Position, given: Position): boolean =>
  given.applied > stored.applied || given.drained > stored.drained

/** Messages of one process may overtake each other; the higher position is the later one. */
function newer(a: Position, b: Position): Position {
  const older = b.applied < a.applied || b.drained < a.drained
  const { oldest } = older ? a : b
  return {
    applied: Math.max(a.applied, b.applied),
    drained: Math.max(a.drained, b.drained),
    ...(oldest === undefined ? {} : { oldest }),
  }
}

export const UNKNOWN_INSTANCE: FleetRefusal = {
  code: 'unknown-instance',
  message:
    'This process is not registered: it said goodbye, was forgotten, or another took its id. Register again.',
  retryable: true,
}

export const STORE_UNAVAILABLE: FleetRefusal = {
  code: 'store-unavailable',
  message: 'The store cannot be reached at the moment.',
  retryable: true,
}

const REFUSALS: Readonly<Record<StoredBeats['refused'][number]['why'], FleetRefusal>> = {
  'unknown-instance': UNKNOWN_INSTANCE,
  'impossible-position': {
    code: 'impossible-position',
    message:
      'A position lies beyond the newest epoch of its migration. Was the store restored from a backup?',
    retryable: true,
  },
}
