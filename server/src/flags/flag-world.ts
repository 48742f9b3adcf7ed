import type {
  EvaluationContext,
  FlagDefinition,
  FlagWorld,
  MigrationConfig,
  Snapshot,
} from '@switchback/migrations-registry'

export interface World {
  readonly snapshot: Snapshot
  /** Keys of all flags: ordinary ones, aliases, and the flags of migrations. */
  readonly keys: readonly string[]
  /** The world as this asker sees it; an asker without an id is no canary. */
  for(context: EvaluationContext): FlagWorld
}

/** Where the newest snapshot is to be had; the same object as long as nothing has changed. */
export interface SnapshotSource {
  fresh(): Promise<Snapshot>
}

const worlds = new WeakMap<Snapshot, World>()

/** The world of a snapshot, made once per snapshot: an evaluation then costs two look-ups. */
export function worldOf(snapshot: Snapshot): World {
  const known = worlds.get(snapshot)
  if (known !== undefined) return known
  const world = buildWorld(snapshot)
  worlds.set(snapshot, world)
  return world
}

function buildWorld(snapshot: Snapshot): World {
  const flags = new Map<string, FlagDefinition>()
  for (const flag of snapshot.flags) {
    const stored: unknown = flag
    if (isStoredFlag(stored)) flags.set(stored.key, stored)
  }
  const migrations = new Map(snapshot.migrations.map((migration) => [migration.id, migration]))
  const aliases = new Map<string, MigrationConfig>()
  for (const migration of snapshot.migrations) {
    if (migration.alias !== undefined) aliases.set(migration.alias, migration)
  }
  const keys = [
    ...flags.keys(),
    ...aliases.keys(),
    ...[...migrations.keys()].flatMap((id) => [`${id}.read`, `${id}.write`, `${id}.backfill`]),
  ]
  return {
    snapshot,
    keys: [...new Set(keys)].sort(),
    for: (context) => ({
      flag: (key) => flags.get(key),
      migration: (id) => migrations.get(id),
      aliased: (alias) => aliases.get(alias),
      instance: typeof context.instance === 'string' ? context.instance : '',
    }),
  }
}

// A flag in the store was parsed when it was written; its shares are numbers by now, which the schema of
// what people write would refuse.
const isStoredFlag = (flag: unknown): flag is FlagDefinition =>
  typeof flag === 'object' &&
  flag !== null &&
  'key' in flag &&
  typeof flag.key === 'string' &&
  'variants' in flag &&
  typeof flag.variants === 'object' &&
  'rules' in flag &&
  Array.isArray(flag.rules)
