import type { HandlerManifest, Path } from '@switchback/migrations-registry'
import type { UntypedOptions } from './create-migration.ts'
import { runtimeOptionsOf } from './create-migration.ts'
import { pathsOf } from './handlers.ts'
import type { RuntimeOptions } from './migration-runtime.ts'
import { isFenced } from './migration-runtime.ts'

/** What `client.migration` is given for one migration, as far as its handlers are described. */
export interface DescribedOptions {
  readonly transaction?: object
  readonly read?: { readonly old?: unknown; readonly new?: unknown }
  readonly write?: { readonly old?: unknown; readonly new?: unknown }
  readonly remove?: { readonly old?: unknown; readonly new?: unknown }
}

export interface Described {
  readonly app: string
  readonly version: string
  /** By the id of the migration: the very options that `client.migration` is given. */
  readonly migrations: Readonly<Record<string, DescribedOptions>>
}

const OPERATIONS = ['read', 'write', 'remove'] as const

/** What one migration's handlers are, as the server is told of them at registration. */
function entryOf({ handlers, ...modes }: RuntimeOptions): HandlerManifest['migrations'][string] {
  const operations = OPERATIONS.flatMap((operation) =>
    handlers[operation] === undefined
      ? []
      : [[operation, [...pathsOf({ [operation]: handlers[operation] })]] as [string, Path[]]],
  )
  return { handlers: [...pathsOf(handlers)], fenced: isFenced(modes), ...Object.fromEntries(operations) }
}

export const manifestOf = (
  { app, version }: Pick<Described, 'app' | 'version'>,
  migrations: ReadonlyMap<string, RuntimeOptions>,
): HandlerManifest => ({
  app,
  version,
  migrations: Object.fromEntries([...migrations].map(([id, options]) => [id, entryOf(options)])),
})

/**
 * Describes what a version of an application can do, for `switchback can-i-deploy --handlers`. Needs neither a
 * server nor a database, so that a build can write it down before anything is deployed.
 *
 * @example
 * const manifest = describeHandlers({
 *   app: 'rides-api',
 *   version: '1.4.2',
 *   migrations: { 'user-profiles': profileOptions },
 * })
 * process.stdout.write(JSON.stringify(manifest))
 */
export const describeHandlers = ({ migrations, ...version }: Described): HandlerManifest =>
  manifestOf(
    version,
    new Map(
      Object.entries(migrations).map(([id, options]) => [
        id,
        runtimeOptionsOf(options as unknown as UntypedOptions),
      ]),
    ),
  )
