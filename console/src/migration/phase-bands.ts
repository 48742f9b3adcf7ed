/** What reads or writes do over neighbouring phases that do the same. */
export interface Band {
  readonly kind: 'old' | 'both-old' | 'both-new' | 'new' | 'share'
  readonly words: string
  /** Index of the first phase, and of the one after the last. */
  readonly from: number
  readonly to: number
}

type Kind = Pick<Band, 'kind' | 'words'>

const WRITE: Readonly<Record<string, Kind>> = {
  old: { kind: 'old', words: 'old' },
  'dual-old': { kind: 'both-old', words: 'both, old leads' },
  'dual-new': { kind: 'both-new', words: 'both, new leads' },
  new: { kind: 'new', words: 'new' },
}

const READ: Readonly<Record<string, Kind>> = {
  old: { kind: 'old', words: 'old' },
  'old-shadow': { kind: 'both-old', words: 'old, compares' },
  'new-shadow': { kind: 'both-new', words: 'new, compares' },
  new: { kind: 'new', words: 'new' },
}

export const writeBand = (variant: string): Kind => WRITE[variant] ?? { kind: 'old', words: variant }
export const readBand = (variant: string): Kind => READ[variant] ?? { kind: 'share', words: 'a share: new' }

/** Joins neighbours that do the same. */
export function bandsOf(kinds: readonly Kind[]): readonly Band[] {
  const bands: Band[] = []
  for (const [index, kind] of kinds.entries()) {
    const last = bands.at(-1)
    if (last !== undefined && last.words === kind.words) bands[bands.length - 1] = { ...last, to: index + 1 }
    else bands.push({ ...kind, from: index, to: index + 1 })
  }
  return bands
}
