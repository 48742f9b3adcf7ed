import type { Choose } from './stepper.ts'

/** A small generator of numbers, so that a schedule can be told by its seed. */
export function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** Schedules one after the other. */
export interface Choices {
  /** The choices of the next schedule; undefined where all have been made. */
  next(): Choose | undefined
  /** All schedules were gone through. */
  readonly complete: boolean
}

/** Every schedule there is, depth first: the last choice that had another way is taken the other way. */
export function everyChoice(limit: number): Choices {
  let path: { index: number; count: number }[] = []
  let begun = 0
  let complete = false
  return {
    get complete() {
      return complete
    },
    next: () => {
      if (begun > 0) {
        while (path.length > 0) {
          const last = path[path.length - 1]
          if (last === undefined || last.index + 1 < last.count) break
          path.pop()
        }
        const last = path[path.length - 1]
        if (last === undefined) complete = true
        else last.index += 1
      }
      if (complete || begun === limit) return undefined
      begun += 1
      let at = 0
      return (count) => {
        const known = path[at]
        // PostgreSQL may have let somebody go on earlier this time; what follows is another tree.
        if (known === undefined || known.count !== count) {
          path = [...path.slice(0, at), { index: Math.min(known?.index ?? 0, count - 1), count }]
        }
        const index = path[at]?.index ?? 0
        at += 1
        return index
      }
    },
  }
}

/**
 * Schedules from seeds. Every other one is uniform; the rest run by priorities that change a few times, which
 * finds what needs one actor to stand still for long.
 */
export function sampledChoices(count: number, seed: number): Choices {
  let begun = 0
  return {
    complete: false,
    next: () => {
      if (begun === count) return undefined
      begun += 1
      const number = numbers(seed * 1_000_003 + begun)
      return begun % 2 === 0 ? number : byPriority(number)
    },
  }
}

function byPriority(number: (below: number) => number): Choose {
  const priorities = new Map<string, number>()
  const switches = new Set(Array.from({ length: 1 + number(4) }, () => number(30)))
  let at = 0
  return (_, names) => {
    for (const name of names) if (!priorities.has(name)) priorities.set(name, number(1000))
    const highest = [...names].sort((one, other) => (priorities.get(other) ?? 0) - (priorities.get(one) ?? 0))
    const [first = '', second = first] = highest
    at += 1
    if (!switches.has(at)) return names.indexOf(first)
    priorities.set(first, -at)
    return names.indexOf(second)
  }
}
