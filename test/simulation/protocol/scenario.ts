import type { Phase } from '@switchback/migrations-registry'
import type { Isolation } from '../database/transaction.ts'
import type { Random } from '../world/random.ts'

export type Action =
  | 'advance'
  | 'revert'
  | 'revert-far'
  | 'alert'
  | 'rearm'
  | 'retry'
  | 'set-share'
  | 'pause'
  | 'approve'
  | 'stop-app'
  | 'crash-app'
  | 'close-app'
  | 'part-app'
  | 'cut-app'
  | 'cut-target'
  | 'stop-server'
  | 'crash-server'
  | 'crash-worker'
  | 'crash-target'
  | 'jump-clock'
  | 'backup'
  | 'restore'

type Weights = Partial<Record<Action, number>>

/** What a run is about: where it starts, and what is likely to happen. */
interface Theme {
  readonly name: string
  readonly weight: number
  readonly phases: readonly Phase[]
  readonly likely: Weights
  /** Transactions look at something long before they write, and keep on seeing what was there then. */
  readonly snapshots?: true
  /** New has nothing yet, and most writes are plain updates, which do nothing where new has no row. */
  readonly filling?: true
}

const EVERYWHERE: Weights = {
  advance: 14,
  revert: 2,
  'revert-far': 1,
  alert: 0.5,
  rearm: 3,
  retry: 1,
  'set-share': 0.5,
  pause: 0.5,
  approve: 0.5,
  'stop-app': 2,
  'crash-app': 0.7,
  'close-app': 0.5,
  'part-app': 2,
  'cut-app': 0.5,
  'cut-target': 0.5,
  'stop-server': 0.4,
  'crash-server': 0.4,
  'crash-worker': 0.4,
  'crash-target': 0.1,
  'jump-clock': 0.2,
}

const THEMES: readonly Theme[] = [
  { name: 'from the start', weight: 1, phases: ['planned', 'expanded'], likely: { advance: 25, revert: 1 } },
  {
    name: 'copying',
    weight: 5,
    phases: ['dual-write', 'backfill'],
    likely: { advance: 20, revert: 1.5, 'revert-far': 0.2, rearm: 6, 'part-app': 0.7, 'stop-app': 0.7 },
  },
  {
    name: 'filling',
    weight: 4,
    phases: ['dual-write', 'backfill'],
    likely: { advance: 22, revert: 0.5, 'part-app': 2, 'stop-app': 0.5, 'crash-target': 0.5 },
    filling: true,
  },
  { name: 'ramp', weight: 3, phases: ['shadow', 'ramp'], likely: { advance: 14, revert: 2 } },
  {
    name: 'stragglers',
    weight: 4,
    phases: ['expanded', 'dual-write', 'ramp', 'promoted'],
    likely: { advance: 22, 'stop-app': 5, 'part-app': 7, revert: 0.5, 'revert-far': 1 },
  },
  {
    name: 'old snapshots',
    weight: 3,
    phases: ['dual-write', 'backfill', 'retired'],
    likely: { advance: 22, 'part-app': 8, revert: 2, rearm: 6 },
    snapshots: true,
  },
  {
    name: 'the way back',
    weight: 4,
    phases: ['promoted', 'retired'],
    likely: { advance: 8, revert: 8, 'revert-far': 4, rearm: 6, 'stop-app': 5, 'part-app': 4 },
  },
  {
    name: 'reverts',
    weight: 3,
    phases: ['ramp', 'promoted'],
    likely: { advance: 8, revert: 8, 'revert-far': 8, alert: 4, rearm: 8, 'stop-app': 4, 'part-app': 4 },
  },
  {
    name: 'the end',
    weight: 1,
    phases: ['retired'],
    likely: { advance: 20, approve: 8, revert: 3, rearm: 3 },
  },
  {
    name: 'a restored store',
    weight: 2,
    phases: ['dual-write', 'shadow', 'ramp', 'promoted'],
    likely: { advance: 20, backup: 6, restore: 4, rearm: 6, 'stop-app': 0.5, 'part-app': 0.5 },
  },
]

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
  readonly pauseMs: readonly [number, number]
  /** How fast the target is: bounds of the time between two rows of a statement. */
  readonly workMs: readonly [number, number]
  readonly slowChance: number
  readonly actions: number
  readonly actionMs: readonly [number, number]
  readonly likely: Weights
  /** New begins with no row that is not of use: ranges are filled instead of copied. */
  readonly fresh: boolean
  /** Share of the writes that are plain updates, which do nothing where there is no row. */
  readonly changes: number
}

const SNAPSHOTS: readonly Isolation[] = ['repeatable read', 'serializable']
const LEVELS: readonly Isolation[] = ['read committed', ...SNAPSHOTS]

export function drawScenario(random: Random): Scenario {
  const theme = drawTheme(random)
  const snapshots = theme.snapshots === true
  const filling = theme.filling === true
  const fence = random.chance(snapshots || filling ? 1 : 0.85)
  const drawn = {
    theme: theme.name,
    phase: random.pick(theme.phases),
    apps: random.chance(0.6) ? 2 : 3,
    keys: ['k1', 'k2', 'k3', 'k4'].slice(0, random.pick([1, 2, 2, 3, 4])),
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
    pauseMs: random.pick([
      [2, 10],
      [5, 30],
      [15, 80],
    ] as const),
    workMs: random.pick([
      [0, 0.3],
      [0, 0.3],
      [0.2, 3],
      [1, 6],
    ] as const),
    slowChance: random.pick([0.02, 0.1, 0.3]),
    actions: 10 + random.below(16),
    actionMs: random.pick([
      [2, 40],
      [10, 80],
    ] as const),
    likely: { ...EVERYWHERE, ...theme.likely },
    fresh: filling || random.chance(0.3),
  } satisfies Omit<Scenario, 'changes'>
  // Above READ COMMITTED one may miss what has been brought for a key whose other write failed: verification finds it.
  const plain = drawn.isolation === 'read committed' || drawn.failing === 0
  return { ...drawn, changes: plain ? random.pick(filling ? [0.8, 0.95] : [0, 0.3, 0.7]) : 0 }
}

function drawTheme(random: Random): Theme {
  let left = random.next() * THEMES.reduce((sum, { weight }) => sum + weight, 0)
  for (const theme of THEMES) {
    left -= theme.weight
    if (left < 0) return theme
  }
  return THEMES[0] as Theme
}

export function drawAction(random: Random, likely: Weights): Action {
  const entries = Object.entries(likely) as [Action, number][]
  let left = random.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [action, weight] of entries) {
    left -= weight
    if (left < 0) return action
  }
  return 'advance'
}
