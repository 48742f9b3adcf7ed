import type { MigrationDefinition } from './definition.ts'
import { atLeast } from './phases.ts'
import type { MigrationState } from './state.ts'

interface Candidate {
  readonly definition: MigrationDefinition
  readonly state: MigrationState
}

/** Tables that a migration reads or writes, without their schema where that is `public`. */
export const tablesOf = ({ copy }: MigrationDefinition): readonly string[] =>
  copy === undefined ? [] : [copy.from, copy.to].map((table) => table.replace(/^public\./, ''))

/** The same, told apart by the database that each is in. */
function placesOf(definition: MigrationDefinition): readonly string[] {
  const { target, copy } = definition
  const targets = [target, copy?.toTarget ?? target]
  return tablesOf(definition).map((table, i) => `${targets[i]} ${table}`)
}

/** Puts together what shares a table, also by way of a third. */
export function sharingTables<T extends Candidate>(candidates: readonly T[]): readonly (readonly T[])[] {
  let groups: { tables: Set<string>; members: T[] }[] = []
  for (const candidate of candidates) {
    const tables = new Set(placesOf(candidate.definition))
    const members = [candidate]
    const apart = groups.filter((group) => [...group.tables].every((table) => !tables.has(table)))
    for (const group of groups) {
      if (apart.includes(group)) continue
      members.unshift(...group.members)
      for (const table of group.tables) tables.add(table)
    }
    groups = [...apart, { tables, members }]
  }
  return groups.map(({ members }) => members)
}

/**
 * The one of several that was exposed last: what has just been changed is the likeliest cause of a failure that
 * names none of them. Undefined where none is exposed, or one was reverted already.
 */
export function latestExposed<T extends Candidate>(group: readonly T[]): T | undefined {
  if (group.some(({ state }) => state.latch !== undefined)) return undefined
  const exposed = group.filter(({ state }) => atLeast(state.phase, 'dual-write'))
  return [...exposed].sort((a, b) => b.state.run.at - a.state.run.at)[0]
}
