import type { Schema } from '../api/client.ts'
import type { Tone } from '../ui/chip.tsx'
import type { IconName } from '../ui/icon.tsx'

export type Phase = Schema<'PhaseRow'>['phase']
export type Config = Schema<'MigrationConfig'>
type ReadRule = Config['read']
type Direction = Schema<'OverviewRow'>['direction']

/** Which way a migration goes: a word, a shape and a colour, always together. */
export const DIRECTION: Readonly<Record<Direction, { word: string; icon: IconName; tone: Tone }>> = {
  planned: { word: 'Planned', icon: 'dot', tone: 'idle' },
  advancing: { word: 'Advancing', icon: 'forward', tone: 'info' },
  holding: { word: 'Holding', icon: 'pause', tone: 'warn' },
  ready: { word: 'Ready', icon: 'play', tone: 'ok' },
  reverting: { word: 'Reverting', icon: 'back', tone: 'bad' },
  reverted: { word: 'Reverted', icon: 'revert', tone: 'bad' },
  done: { word: 'Done', icon: 'check', tone: 'idle' },
}

export const WRITES: Readonly<Record<Config['write'], string>> = {
  old: 'old',
  'dual-old': 'both, old leads',
  'dual-new': 'both, new leads',
  new: 'new',
}

const READS = {
  old: 'old',
  'old-shadow': 'old, new compared',
  'new-shadow': 'new, old compared',
  new: 'new',
} as const

/** What reads do, in words: a share is told with its size. */
export function readsOf(read: ReadRule): string {
  if (read.kind === 'fixed') return READS[read.variant]
  if (read.canary.length > 0) {
    return `new on ${read.canary.length} ${read.canary.length === 1 ? 'canary' : 'canaries'}, else old; compared`
  }
  if (read.share >= 1) return READS[read.inside]
  return `${shareWords(read.share)} new, the rest old; compared`
}

export const shareWords = (share: number): string => `${Number((share * 100).toFixed(3))} %`

/** The step that advancing would take, in words. */
export function nextWords(next: Schema<'NextStep'>): string {
  switch (next.kind) {
    case 'none':
      return 'nothing further'
    case 'phase':
      return next.to
    case 'work':
      return `${next.work}, then ${next.to}`
    case 'rollout':
      return next.canaries > 0
        ? `ramp: ${next.canaries} ${next.canaries === 1 ? 'canary' : 'canaries'}`
        : `ramp: ${shareWords(next.share)}`
  }
}
