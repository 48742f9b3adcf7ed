/** Seeded randomness: the same seed gives the same run, on every machine. */
export interface Random {
  /** 0 (included) to 1 (excluded). */
  next(): number
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number
  /** A number between the two bounds. */
  between(low: number, high: number): number
  chance(probability: number): boolean
  pick<T>(from: readonly T[]): T
  /** Randomness of its own, so that one part's use does not shift what another part draws. */
  fork(): Random
}

/** sfc32, whose state is filled from the seed by splitmix32. */
export function createRandom(seed: number): Random {
  let mixed = seed | 0
  const mix = (): number => {
    mixed = (mixed + 0x9e3779b9) | 0
    let z = mixed ^ (mixed >>> 16)
    z = Math.imul(z, 0x21f0aaad)
    z ^= z >>> 15
    z = Math.imul(z, 0x735a2d97)
    return z ^ (z >>> 15)
  }
  let a = mix()
  let b = mix()
  let c = mix() ^ Math.floor(seed / 0x1_0000_0000)
  let counter = 1
  const bits = (): number => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 12; i++) bits()
  const next = (): number => bits() / 0x1_0000_0000
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    next,
    below,
    between: (low, high) => low + next() * (high - low),
    chance: (probability) => probability > 0 && next() < probability,
    pick: (from) => {
      if (from.length === 0) throw new RangeError('nothing to pick from')
      return from[below(from.length)] as (typeof from)[number]
    },
    fork: () => createRandom(bits()),
  }
}
