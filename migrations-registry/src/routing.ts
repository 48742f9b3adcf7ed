import type { Path, Phase } from './phases.ts'
import { bucketOf } from './sticky.ts'

/** What a write does: which paths it runs, and which of them leads. */
export type WriteVariant = 'old' | 'dual-old' | 'dual-new' | 'new'
/** What a read does: which path it serves, and which it compares. */
export type ReadVariant = 'old' | 'old-shadow' | 'new-shadow' | 'new'

export const WRITE_VARIANTS = ['old', 'dual-old', 'dual-new', 'new'] as const
export const READ_VARIANTS = ['old', 'old-shadow', 'new-shadow', 'new'] as const

export interface WriteRoute {
  readonly leader: Path
  /** Physical order. Always old before new: two orders would deadlock. */
  readonly order: readonly Path[]
}

export interface ReadRoute {
  readonly served: Path
  readonly compared?: Path
}

export const WRITE_ROUTES: Readonly<Record<WriteVariant, WriteRoute>> = {
  old: { leader: 'old', order: ['old'] },
  'dual-old': { leader: 'old', order: ['old', 'new'] },
  'dual-new': { leader: 'new', order: ['old', 'new'] },
  new: { leader: 'new', order: ['new'] },
}

export const READ_ROUTES: Readonly<Record<ReadVariant, ReadRoute>> = {
  old: { served: 'old' },
  'old-shadow': { served: 'old', compared: 'new' },
  'new-shadow': { served: 'new', compared: 'old' },
  new: { served: 'new' },
}

/**
 * What reads do now. `fixed`: all alike. `split`: reads whose key falls into the share, and all reads
 * of canary instances, take `inside`; the rest takes `outside`.
 */
export type ReadRule =
  | { readonly kind: 'fixed'; readonly variant: ReadVariant }
  | {
      readonly kind: 'split'
      readonly inside: ReadVariant
      readonly outside: ReadVariant
      /** 0 to 1, in steps of 1/100000. */
      readonly share: number
      /** Instance ids. */
      readonly canary: readonly string[]
      readonly salt: string
    }

/** The read and write flag of a migration at one epoch. */
export interface Routing {
  readonly write: WriteVariant
  readonly read: ReadRule
  /** Paths of which a served read first asks whether its key waits for repair. */
  readonly asks?: readonly Path[]
}

export interface Rollout {
  /** Index into the definition's `rollout`; -1 before the first step. */
  readonly step: number
  /** 0 to 1. */
  readonly share: number
  readonly canary: readonly string[]
}

const NEW: readonly Path[] = ['new']

export const NO_ROLLOUT: Rollout = { step: -1, share: 0, canary: [] }

const FIXED: Readonly<Record<Exclude<Phase, 'ramp' | 'promoted'>, Routing>> = {
  planned: { write: 'old', read: { kind: 'fixed', variant: 'old' } },
  expanded: { write: 'old', read: { kind: 'fixed', variant: 'old' } },
  'dual-write': { write: 'dual-old', read: { kind: 'fixed', variant: 'old' } },
  backfill: { write: 'dual-old', read: { kind: 'fixed', variant: 'old' } },
  shadow: { write: 'dual-old', read: { kind: 'fixed', variant: 'old-shadow' } },
  retired: { write: 'new', read: { kind: 'fixed', variant: 'new' } },
  contracted: { write: 'new', read: { kind: 'fixed', variant: 'new' } },
}

/**
 * The flags that a phase stands for.
 *
 * @param oldComplete whether old holds every acknowledged write. Where it does not (on the way back
 *   from `retired`), comparing with old would report what is known.
 */
export function routingOf(migration: string, phase: Phase, rollout: Rollout, oldComplete: boolean): Routing {
  if (phase === 'ramp') {
    return {
      write: 'dual-old',
      asks: NEW,
      read: {
        kind: 'split',
        inside: 'new-shadow',
        outside: 'old-shadow',
        share: rollout.share,
        canary: rollout.canary,
        salt: migration,
      },
    }
  }
  if (phase === 'promoted') {
    return {
      write: 'dual-new',
      // New leads; but writes of ramp, which may still be under way, queue repairs of new.
      asks: NEW,
      read: { kind: 'fixed', variant: oldComplete ? 'new-shadow' : 'new' },
    }
  }
  return FIXED[phase]
}

/** The read variant for one key on one instance. Pure, no allocation. */
export function readVariantFor(rule: ReadRule, key: string, instance: string): ReadVariant {
  if (rule.kind === 'fixed') return rule.variant
  if (rule.share >= 1 || rule.canary.includes(instance)) return rule.inside
  if (rule.share <= 0) return rule.outside
  return bucketOf(rule.salt, key) < rule.share * 100_000 ? rule.inside : rule.outside
}

const unique = (paths: readonly Path[]): readonly Path[] => [...new Set(paths)]

/** Paths that some read may be served from under this routing. */
export function servedPaths({ read }: Routing): readonly Path[] {
  if (read.kind === 'fixed') return [READ_ROUTES[read.variant].served]
  const inside = read.share > 0 || read.canary.length > 0
  const paths = inside ? [READ_ROUTES[read.inside].served] : []
  if (read.share < 1) paths.push(READ_ROUTES[read.outside].served)
  return unique(paths)
}

/** Paths that every write reaches (or queues for repair) under this routing. */
export const writtenPaths = ({ write }: Routing): readonly Path[] => WRITE_ROUTES[write].order

/**
 * The routing of `dual-write` on the way back from `promoted`: new has led, so a write that failed in old is
 * in new alone until its key is repaired.
 */
export const askingForOld = (routing: Routing): Routing => ({ ...routing, asks: ['old'] })

/** A served path that is written and does not lead may be behind for keys that wait for repair: it is asked. */
export function askingWhereBehind(routing: Routing): Routing {
  const { leader, order } = WRITE_ROUTES[routing.write]
  const behind = servedPaths(routing).filter((path) => path !== leader && order.includes(path))
  const asks = unique([...(routing.asks ?? []), ...behind])
  return asks.length === 0 ? routing : { ...routing, asks }
}

/** Paths for which an instance needs handlers under this routing: read, compared or written. */
export function usedPaths(routing: Routing): readonly Path[] {
  const { read } = routing
  const variants = read.kind === 'fixed' ? [read.variant] : [read.inside, read.outside]
  const reads = variants.flatMap((variant) => {
    const route = READ_ROUTES[variant]
    return route.compared === undefined ? [route.served] : [route.served, route.compared]
  })
  return unique([...writtenPaths(routing), ...reads])
}
