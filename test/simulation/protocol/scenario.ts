import type { Phase } from '@switchback/migrations-registry'
import type { Isolation } from '../database/transaction.ts'
import type { Random } from '../world/random.ts'
import { drawTheme, EVERYWHERE, type Weights } from './themes.ts'

/** Everything about a run that is decided before it begins. */
export interface Scenario {
  readonly theme: string
  readonly phase: Phase
  readonly apps: number
  readonly keys: readonly string[]
  readonly isolation: Isolation
  readonly fence: boolean
  readonly shadow: number
  readonly autopilot: boolean
  readonly worker: boolean
  readonly rough: boolean
  readonly keepsIds: boolean
  readonly onLeaseExpired: readonly ('hold' | 'stop')[]
  readonly onSecondaryFailure: 'repair' | 'fail'
  readonly failing: number
  /** Share of the operations that are part of a transaction of the application's own. */
  readonly transactions: number
  /** How often a transaction of the application's own is left open for long, by instance. */
  readonly lingering: readonly number[]
  readonly pauseMs: readonly [number, number]
  /** How fast the target is: bounds of the time between two rows of a statement. */
  readonly workMs: readonly [number, number]
  readonly slowChance: number
  readonly actions: number
  readonly actionMs: readonly [number, number]
  readonly likely: Weights
  /** Before anything else the first instance is parted from the server for longer than its lease. */
  readonly straggling: boolean
  /** New begins with no row that is not of use: ranges are filled instead of copied. */
  readonly fresh: boolean
  /** How likely old has a row of a key. */
  readonly filled: number
  /** Share of the writes that are plain updates, which do nothing where there is no row. */
  readonly changes: number
}

const KEYS = ['k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8']
const SNAPSHOTS: readonly Isolation[] = ['repeatable read', 'serializable']
const LEVELS: readonly Isolation[] = ['read committed', ...SNAPSHOTS]

const PAUSES = [
  [2, 10],
  [5, 30],
  [15, 80],
] as const
const SPEEDS = [
  [0, 0.3],
  [0, 0.3],
  [0.2, 3],
  [1, 6],
] as const

export function drawScenario(random: Random): Scenario {
  const theme = drawTheme(random)
  const snapshots = theme.snapshots === true
  const filling = theme.filling === true
  const sweeping = theme.sweeping === true
  const fence = random.chance(snapshots || filling ? 1 : 0.85)
  const drawn = {
    theme: theme.name,
    phase: random.pick(theme.phases),
    apps: random.chance(0.6) ? 2 : 3,
    keys: KEYS.slice(0, random.pick(sweeping ? [6, 7, 8] : [1, 2, 2, 3, 4])),
    isolation: random.pick(snapshots ? SNAPSHOTS : LEVELS),
    fence,
    shadow: random.chance(0.3) ? 1 : 0,
    autopilot: random.chance(0.15),
    worker: random.chance(0.25),
    rough: random.chance(0.25),
    keepsIds: random.chance(0.5),
    onLeaseExpired: [0, 1, 2].map(() => (random.chance(0.2) ? 'stop' : 'hold')),
    onSecondaryFailure: random.chance(0.8) ? 'repair' : 'fail',
    failing: !filling && random.chance(0.35) ? 0.06 : 0,
    transactions: snapshots || filling ? 0.5 : fence && random.chance(0.4) ? random.pick([0.08, 0.25]) : 0,
    lingering: theme.straggling === true ? [0.7, 0.05, 0.05] : [0.2, 0.2, 0.2],
    pauseMs: random.pick(PAUSES.slice(sweeping ? 1 : 0)),
    workMs: sweeping ? ([3, 15] as const) : random.pick(SPEEDS),
    slowChance: random.pick([0.02, 0.1, 0.3]),
    actions: 10 + random.below(16),
    actionMs: random.pick([
      [2, 40],
      [10, 80],
    ] as const),
    likely: { ...EVERYWHERE, ...theme.likely },
    straggling: theme.straggling === true,
    fresh: filling || (!sweeping && random.chance(0.3)),
    filled: sweeping ? 0.1 : 0.7,
  } satisfies Omit<Scenario, 'changes'>
  // Above READ COMMITTED one may miss what has been brought for a key whose other write failed: verification finds it.
  const plain = drawn.isolation === 'read committed' || drawn.failing === 0
  return {
    ...drawn,
    changes: plain ? random.pick(filling ? [0.8, 0.95] : sweeping ? [0.5, 0.7] : [0, 0, 0.3]) : 0,
  }
}
