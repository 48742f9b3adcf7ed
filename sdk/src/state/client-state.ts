import type { Change, FlagDefinition, MigrationConfig, Snapshot } from '@switchback/migrations-registry'
import { flagSchema } from '@switchback/migrations-registry'

/** What an instance holds: the newest revision it has seen, and everything at it. */
export interface ClientState {
  readonly revision: number
  readonly migrations: ReadonlyMap<string, MigrationConfig>
  readonly flags: ReadonlyMap<string, FlagDefinition>
}

export const EMPTY_STATE: ClientState = { revision: -1, migrations: new Map(), flags: new Map() }

interface Applied {
  readonly kind: 'applied'
  readonly state: ClientState
  /** Migrations whose configuration is now another one. */
  readonly migrations: readonly string[]
  readonly flags: readonly string[]
  /** Refused because the migration is held at a newer epoch (I6), or a flag that cannot be read. */
  readonly refused: readonly string[]
}

export type Outcome =
  | Applied
  /** Of a revision that is held already; nothing to do. */
  | { readonly kind: 'known' }
  /** Older than what is held: the sender is behind, or its store was restored. */
  | { readonly kind: 'older' }
  /** Something between the held revision and this change was missed: everything has to be fetched. */
  | { readonly kind: 'gap' }

/** Takes a whole snapshot. One of the revision that is held is applied too: the answer to a gap may be one. */
export function applySnapshot(state: ClientState, snapshot: Snapshot): Outcome {
  if (snapshot.revision < state.revision) return { kind: 'older' }
  const named = new Set(snapshot.migrations.map((migration) => migration.id))
  const flagged = new Set(snapshot.flags.map((flag) => String(flag.key)))
  return merge(state, snapshot, {
    migrations: [...state.migrations.keys()].filter((id) => !named.has(id)),
    flags: [...state.flags.keys()].filter((key) => !flagged.has(key)),
  })
}

/** Takes a change, if nothing is missing between it and what is held. */
export function applyChange(state: ClientState, change: Change): Outcome {
  if (change.revision <= state.revision) return { kind: 'known' }
  if (change.since > state.revision) return { kind: 'gap' }
  return merge(state, change, { migrations: change.removedMigrations, flags: change.removedFlags })
}

function merge(
  state: ClientState,
  news: Snapshot,
  removed: { readonly migrations: readonly string[]; readonly flags: readonly string[] },
): Applied {
  const migrations = new Map(state.migrations)
  const flags = new Map(state.flags)
  const changed = { migrations: new Set<string>(), flags: new Set<string>() }
  const refused: string[] = []
  for (const id of removed.migrations) if (migrations.delete(id)) changed.migrations.add(id)
  for (const key of removed.flags) if (flags.delete(key)) changed.flags.add(key)
  for (const config of news.migrations) {
    const held = state.migrations.get(config.id)
    if (held !== undefined && config.epoch < held.epoch) {
      migrations.set(config.id, held)
      changed.migrations.delete(config.id)
      refused.push(`${config.id} at epoch ${config.epoch}, held at ${held.epoch}`)
    } else if (!same(held, config)) {
      migrations.set(config.id, config)
      changed.migrations.add(config.id)
    }
  }
  for (const raw of news.flags) {
    const flag = flagSchema.safeParse(raw)
    if (!flag.success) {
      refused.push(`flag ${String(raw.key)}: ${flag.error.issues[0]?.message ?? 'not readable'}`)
    } else if (!same(flags.get(flag.data.key), flag.data)) {
      flags.set(flag.data.key, flag.data)
      changed.flags.add(flag.data.key)
    }
  }
  const next: ClientState = { revision: news.revision, migrations, flags }
  return {
    kind: 'applied',
    state: next,
    migrations: [...changed.migrations],
    flags: [...changed.flags],
    refused,
  }
}

// Both come out of the same parser, so their fields have the same order.
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** The same state as the wire carries it, to be kept on disk. */
export const snapshotOf = (state: ClientState): Snapshot => ({
  revision: Math.max(0, state.revision),
  migrations: [...state.migrations.values()],
  flags: [...state.flags.values()].map(
    (flag) => JSON.parse(JSON.stringify(flag)) as Snapshot['flags'][number],
  ),
})
