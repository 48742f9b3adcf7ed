import type { Path, Registration } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'

/** What a version of an application can do, by migration. */
export type VersionHandlers = Readonly<
  Record<string, { readonly handlers: readonly Path[]; readonly fenced: boolean }>
>

export interface KnownVersion {
  readonly migrations: VersionHandlers
  /** When an instance of it last registered, or tried to. */
  readonly lastSeen: number
}

export interface KnownVersions {
  readonly version: KnownVersion | undefined
  /** Migrations that any known version of the application declares. */
  readonly declared: ReadonlySet<string>
}

/** Versions that nobody has started for longer are not gone back to. */
const KEPT = '400 days'
/** At least this often it is noted that a version is in use. */
const NOTED = '1 hour'

/**
 * Notes what versions can do, as their instances tell at registration; whether they are taken on or not. What
 * is known already is neither written nor locked: a fleet that comes back says the same ten thousand times.
 * A migration that an instance has not declared yet is kept: a version does not lose code.
 */
export async function rememberVersions(tx: Queryable, registrations: readonly Registration[]): Promise<void> {
  const versions = new Map<string, Pick<Registration, 'app' | 'version' | 'migrations'>>()
  for (const { app, version, migrations } of registrations) {
    const key = JSON.stringify([app, version])
    versions.set(key, { app, version, migrations: { ...versions.get(key)?.migrations, ...migrations } })
  }
  const given = [...versions.values()]
  const { rows } = await tx.query<{ isNew: boolean }>(
    `insert into app_versions as v (app, version, migrations)
     select app, version, migrations
     from unnest($1::text[], $2::text[], $3::jsonb[]) as g (app, version, migrations)
     where not exists (
       select from app_versions k where k.app = g.app and k.version = g.version
         and k.migrations || g.migrations = k.migrations and k.last_seen > now() - interval '${NOTED}')
     order by app, version
     on conflict (app, version) do update
       set migrations = v.migrations || excluded.migrations, last_seen = greatest(v.last_seen, now())
     returning v.first_seen = now() as "isNew"`,
    [
      given.map(({ app }) => app),
      given.map(({ version }) => version),
      given.map(({ migrations }) => JSON.stringify(migrations)),
    ],
  )
  // Old ones go when new ones come: there are never many, and no timer is needed.
  if (rows.some(({ isNew }) => isNew)) await forgetVersions(tx)
}

const forgetVersions = (tx: Queryable): Promise<unknown> =>
  tx.query(
    `delete from app_versions where (app, version) in (
       select app, version from app_versions v where last_seen < now() - interval '${KEPT}'
         and not exists (select from instances i where i.app = v.app and i.version = v.version)
       order by app, version for update skip locked limit 1000)`,
  )

/** What is known of a version of an application, and of the others of the same. */
export async function knownVersions(on: Queryable, app: string, version: string): Promise<KnownVersions> {
  const { rows } = await on.query<{
    readonly declared: readonly string[]
    readonly migrations: VersionHandlers | null
    readonly last_seen: Date | null
  }>(
    `select own.migrations, own.last_seen, array(
       select distinct id from app_versions v, jsonb_object_keys(v.migrations) id where v.app = $1) as declared
     from (select) one left join app_versions own on own.app = $1 and own.version = $2`,
    [app, version],
  )
  const [row] = rows
  const declared = new Set(row?.declared ?? [])
  if (row === undefined || row.migrations === null || row.last_seen === null)
    return { version: undefined, declared }
  return { version: { migrations: row.migrations, lastSeen: row.last_seen.getTime() }, declared }
}
