import { type Snapshot, snapshotSchema } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { SnapshotSource } from '../flags/flag-world.ts'
import { etagOf, hasAlready } from '../http/etag.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { visibleTo } from '../push/visible-to.ts'
import type { WaitingRoom } from './waiting-room.ts'

/** Proxies commonly give up after 60 s of silence. */
const MAX_WAIT_SECONDS = 50

export const snapshotBody = snapshotSchema.meta({ id: 'Snapshot' })

export interface SnapshotRouteDeps {
  readonly snapshots: SnapshotSource
  readonly waitingRoom: WaitingRoom
}

const tags = new WeakMap<Snapshot, string>()

/** Made of the content and not of the revision: a store that was restored gives a number out again. */
function tagFor(snapshot: Snapshot): string {
  const known = tags.get(snapshot) ?? etagOf(snapshot)
  tags.set(snapshot, known)
  return known
}

const wait = z
  .string()
  .regex(/^\d{1,2}$/, 'expected whole seconds')
  .transform(Number)
  .refine((seconds) => seconds <= MAX_WAIT_SECONDS, `expected 0 to ${MAX_WAIT_SECONDS}`)
  .default(0)
  .describe(
    `Seconds to hold the answer back for as long as nothing has changed; up to ${MAX_WAIT_SECONDS}. Without it: plain polling, about every 5 s.`,
  )

/** What the socket pushes, for SDKs where websockets are blocked. */
export const snapshotRoute = ({ snapshots, waitingRoom }: SnapshotRouteDeps): Route =>
  route({
    method: 'get',
    path: '/v1/snapshot',
    tag: 'sdk',
    permission: 'connect',
    summary: 'All migrations and flags as instances are told of them',
    description:
      'A token for certain migrations is told of those alone, and of all flags. Send the `ETag` of the last answer as `If-None-Match`: 304 while nothing has changed, at once or after `wait`.',
    query: z.strictObject({ wait }),
    response: snapshotBody,
    notModified: true,
    handle: async ({ query }, { principal, headers, whenGone }) => {
      const until = performance.now() + query.wait * 1000
      for (;;) {
        const seen = waitingRoom.news
        const snapshot = visibleTo(principal, await snapshots.fresh())
        const etag = tagFor(snapshot)
        const caching = { ETag: etag, 'Cache-Control': 'private, no-cache' }
        if (!hasAlready(headers['if-none-match'], etag)) {
          return { headers: caching, body: snapshot }
        }
        const left = until - performance.now()
        if (left <= 0 || waitingRoom.closed) return { status: 304, headers: caching }
        await waitingRoom.newsAfter(seen, left, whenGone)
      }
    },
  })
