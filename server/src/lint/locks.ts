/** PostgreSQL's table locks, weakest first. */
export const LOCK_MODES = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const

export type LockMode = (typeof LOCK_MODES)[number]

/** A lock of a statement on a relation. */
export interface TableLock {
  readonly mode: LockMode
  /** The table, with its schema where that is not `public`. */
  readonly on: string
}

// By the table of PostgreSQL's manual: for each mode the weakest one that it conflicts with; all from there on do.
const CONFLICTS: Readonly<Record<LockMode, readonly LockMode[]>> = {
  'ACCESS SHARE': ['ACCESS EXCLUSIVE'],
  'ROW SHARE': ['EXCLUSIVE', 'ACCESS EXCLUSIVE'],
  'ROW EXCLUSIVE': LOCK_MODES.slice(4),
  'SHARE UPDATE EXCLUSIVE': LOCK_MODES.slice(3),
  SHARE: LOCK_MODES.slice(2).filter((mode) => mode !== 'SHARE'),
  'SHARE ROW EXCLUSIVE': LOCK_MODES.slice(2),
  EXCLUSIVE: LOCK_MODES.slice(1),
  'ACCESS EXCLUSIVE': LOCK_MODES,
}

/** Modes that wait for `mode`, and that it waits for. */
export const conflictsOf = (mode: LockMode): readonly LockMode[] => CONFLICTS[mode]

/** What the application cannot do while the lock is held, or waited for. */
export function blocks(mode: LockMode): string {
  if (mode === 'ACCESS EXCLUSIVE') return 'reads and writes'
  if (CONFLICTS[mode].includes('ROW SHARE')) return 'writes and locking reads'
  if (CONFLICTS[mode].includes('ROW EXCLUSIVE')) return 'writes'
  return mode === 'SHARE UPDATE EXCLUSIVE' ? 'vacuum and other schema changes' : 'nothing of the application'
}

/** Whether the application's reads or writes wait for it. */
export const holdsUpTraffic = (mode: LockMode): boolean =>
  CONFLICTS[mode].includes('ACCESS SHARE') || CONFLICTS[mode].includes('ROW EXCLUSIVE')

/** `AccessExclusiveLock` of pg_locks as `ACCESS EXCLUSIVE`. */
export const modeOfCatalog = (name: string): LockMode | undefined => {
  const words = name
    .replace(/Lock$/, '')
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase()
  return LOCK_MODES.find((mode) => mode === words)
}

/** The strongest lock on each table, strongest first. */
export function strongest(locks: readonly TableLock[]): readonly TableLock[] {
  const byTable = new Map<string, TableLock>()
  for (const lock of locks) {
    const known = byTable.get(lock.on)
    if (known === undefined || rank(lock) > rank(known)) byTable.set(lock.on, lock)
  }
  return [...byTable.values()].sort((a, b) => rank(b) - rank(a) || a.on.localeCompare(b.on))
}

const rank = ({ mode }: TableLock): number => LOCK_MODES.indexOf(mode)
