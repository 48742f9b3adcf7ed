import type { Phase } from '@switchback/migrations-registry'
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

export type Weights = Partial<Record<Action, number>>

/** What a run is about: where it starts, and what is likely to happen. */
interface Theme {
  readonly name: string
  readonly weight: number
  readonly phases: readonly Phase[]
  readonly likely: Weights
  /** Transactions look at something long before they write, and keep on seeing what was there then. */
  readonly snapshots?: true
  /** Before anything else the first instance is parted from the server for longer than its lease. */
  readonly straggling?: true
  /** New has nothing yet, and most writes are plain updates, which do nothing where new has no row. */
  readonly filling?: true
  /** New is full of rows that old does not have, and the sweep is slow: many are written again while it looks. */
  readonly sweeping?: true
}

/** What may happen in any of them. */
export const EVERYWHERE: Weights = {
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
    weight: 8,
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
  {
    name: 'sweeping',
    weight: 3,
    phases: ['dual-write', 'backfill'],
    likely: { advance: 22, revert: 0.5, 'part-app': 0.5, 'stop-app': 0.5 },
    sweeping: true,
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
    name: 'old snapshots of stragglers',
    weight: 3,
    phases: ['expanded', 'dual-write', 'backfill'],
    likely: { advance: 22, 'part-app': 4, revert: 2, rearm: 6 },
    snapshots: true,
    straggling: true,
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

export function drawTheme(random: Random): Theme {
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
