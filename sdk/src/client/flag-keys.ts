import type { ClientState } from '../state/client-state.ts'

/** Keys whose evaluation may differ after these migrations and flags have changed. */
export function flagKeysOf(
  state: ClientState,
  migrations: readonly string[],
  flags: readonly string[],
): readonly string[] {
  const changed = new Set(migrations)
  const keys = new Set(flags)
  for (const id of migrations) {
    for (const kind of ['read', 'write', 'backfill']) keys.add(`${id}.${kind}`)
    const alias = state.migrations.get(id)?.alias
    if (alias !== undefined) keys.add(alias)
  }
  for (const flag of state.flags.values()) {
    if (flag.requires !== undefined && changed.has(flag.requires.migration)) keys.add(flag.key)
  }
  return [...keys]
}
