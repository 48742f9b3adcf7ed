import { snapshotSchema } from '@switchback/migrations-registry'
import type { SnapshotSource } from '../flags/flag-world.ts'
import { inScope } from '../tokens/tokens.ts'
import { hasAlready } from './etag.ts'
import type { Route } from './route.ts'
import { route } from './route.ts'

/** What the socket pushes, for SDKs where websockets are blocked. */
export const snapshotRoute = ({ snapshots }: { readonly snapshots: SnapshotSource }): Route =>
  route({
    method: 'get',
    path: '/v1/snapshot',
    tag: 'sdk',
    permission: 'connect',
    summary: 'All migrations and flags as instances are told of them',
    description: 'Send the `ETag` of the last answer as `If-None-Match`: 304 while nothing has changed.',
    response: snapshotSchema.meta({ id: 'Snapshot' }),
    notModified: true,
    handle: async (_input, { principal, headers }) => {
      const snapshot = await snapshots.fresh()
      const scope = principal.migrations === undefined ? '' : `-${principal.id}`
      const etag = `"${snapshot.revision}${scope}"`
      const caching = { ETag: etag, 'Cache-Control': 'private, no-cache' }
      if (hasAlready(headers['if-none-match'], etag)) return { status: 304, headers: caching }
      const migrations = snapshot.migrations.filter((migration) => inScope(principal, migration.id))
      return { headers: caching, body: { ...snapshot, migrations } }
    },
  })
