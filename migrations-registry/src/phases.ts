/**
 * The phases of a migration, as a table. Everything else about a phase (what may follow it, which
 * phases may be in use at once, where a revert goes) is derived from this table and from the routing
 * of its flags; see `compatibility.ts`.
 */
export const PHASES = [
  'planned',
  'expanded',
  'dual-write',
  'backfill',
  'shadow',
  'ramp',
  'promoted',
  'retired',
  'contracted',
] as const

export type Phase = (typeof PHASES)[number]

/** The stage of expand–migrate–contract that a phase belongs to. */
export type Stage = 'none' | 'expand' | 'migrate' | 'contract'

/** One of the two paths that a migration leads from and to. */
export type Path = 'old' | 'new'

/** Database work that the engine does; in this order of use. */
export type WorkKind =
  | 'expand'
  | 'rollback'
  | 'backfill'
  | 'verify'
  | 'reverse-backfill'
  | 'contract'
  | 'restore'

export interface PhaseRow {
  readonly phase: Phase
  readonly stage: Stage
  /** One sentence for a person: what the application does while the migration stands here. */
  readonly meaning: string
  /** Work that must end well before the phase after this one is entered. */
  readonly leaveBy?: WorkKind
  /** Work that starts when this phase is entered by a step forward. */
  readonly work?: WorkKind
  /** Where a revert from here goes. */
  readonly revertsTo?: Phase
  /** Work that the revert consists of, or that must follow it before a further revert. */
  readonly revertBy?: WorkKind
}

export const PHASE_TABLE: Readonly<Record<Phase, PhaseRow>> = {
  planned: {
    phase: 'planned',
    stage: 'none',
    meaning: 'Reads and writes old. Nothing has been changed in the database.',
    leaveBy: 'expand',
  },
  expanded: {
    phase: 'expanded',
    stage: 'expand',
    meaning: 'Reads and writes old. The new schema is there, unused.',
    revertsTo: 'planned',
    revertBy: 'rollback',
  },
  'dual-write': {
    phase: 'dual-write',
    stage: 'expand',
    meaning: 'Reads old. Writes both, old leads.',
    revertsTo: 'expanded',
  },
  backfill: {
    phase: 'backfill',
    stage: 'migrate',
    meaning: 'Reads old. Writes both, old leads. History is being copied.',
    work: 'backfill',
    revertsTo: 'dual-write',
  },
  shadow: {
    phase: 'shadow',
    stage: 'migrate',
    meaning: 'Reads old and compares new. Writes both, old leads. Every row is being verified.',
    work: 'verify',
    revertsTo: 'dual-write',
  },
  ramp: {
    phase: 'ramp',
    stage: 'migrate',
    meaning: 'A share of reads is served from new, the rest from old. Writes both, old leads.',
    revertsTo: 'dual-write',
  },
  promoted: {
    phase: 'promoted',
    stage: 'contract',
    meaning: 'Reads new. Writes both, new leads, old is kept current.',
    revertsTo: 'dual-write',
  },
  retired: {
    phase: 'retired',
    stage: 'contract',
    meaning: 'Reads and writes new. Old is written no more.',
    leaveBy: 'contract',
    revertsTo: 'promoted',
    revertBy: 'reverse-backfill',
  },
  contracted: {
    phase: 'contracted',
    stage: 'contract',
    meaning: 'Reads and writes new. Old is gone, its archive is kept.',
    revertsTo: 'retired',
    revertBy: 'restore',
  },
}

export const phaseIndex = (phase: Phase): number => PHASES.indexOf(phase)

/** The phase after this one in the table, or undefined at the end. */
export const phaseAfter = (phase: Phase): Phase | undefined => PHASES[phaseIndex(phase) + 1]

/** True where `phase` is at or beyond `mark` in the table. */
export const atLeast = (phase: Phase, mark: Phase): boolean => phaseIndex(phase) >= phaseIndex(mark)
