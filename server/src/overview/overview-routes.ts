import { PHASES } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Clock } from '../db/clock.ts'
import type { Queryable } from '../db/db.ts'
import { fleetCounts, fleetGroups, positionGroups } from '../fleet/fleet-counts.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { limit, migrationParams, nextStepSchema, time } from '../http/schemas.ts'
import type { Principal } from '../tokens/tokens.ts'
import { inScope } from '../tokens/tokens.ts'
import { byUrgency, DIRECTIONS, overviewRow } from './overview.ts'
import { overviewMigrations, workUnderWay } from './overview-store.ts'

const counts = z.object({ instances: z.int(), live: z.int(), applied: z.int(), drained: z.int() })
const rowSchema = z
  .object({
    id: z.string(),
    title: z.string(),
    team: z.string().optional(),
    phase: z.enum(PHASES),
    epoch: z.int(),
    since: time,
    revision: z.int(),
    direction: z.enum(DIRECTIONS),
    attention: z
      .boolean()
      .describe('Latched, failed, with an open incident, or not compared with its target'),
    rollout: z.object({ step: z.int(), steps: z.int(), share: z.number(), canaries: z.int() }).optional(),
    next: nextStepSchema,
    holds: z.array(z.object({ code: z.string(), message: z.string(), action: z.string() })),
    work: z
      .object({
        kind: z.string(),
        epoch: z.int(),
        status: z.string(),
        error: z.string().optional(),
        progress: z.object({
          stage: z.string().optional(),
          done: z.number().optional(),
          total: z.number().optional(),
          rate: z.number().optional(),
          etaMs: z.number().optional(),
          throttledBy: z.string().optional(),
        }),
      })
      .optional(),
    fleet: counts,
    openIncidents: z.int(),
    incident: z.string().optional().describe('The one that it is latched by'),
    revertsTo: z.enum(PHASES).optional(),
    short: z.boolean().describe('Without paths: planned, expanded, done'),
    etaMs: z.number().optional(),
  })
  .meta({ id: 'OverviewRow' })

const SHOWN = ['all', 'active', 'attention', 'planned', 'done'] as const
type Shown = (typeof SHOWN)[number]

export interface OverviewRoutesDeps {
  readonly db: Queryable
  readonly clock: Clock
}

/** Many migrations at a glance, in pages; and the fleet by application. */
export function overviewRoutes({ db, clock }: OverviewRoutesDeps): readonly Route[] {
  async function rowsFor(principal: Principal) {
    const found = await overviewMigrations(db)
    const migrations = found.filter(({ definition }) => inScope(principal, definition.id))
    const ids = migrations.map(({ definition }) => definition.id)
    const [fleets, works] = await Promise.all([fleetCounts(db, ids), workUnderWay(db, ids)])
    const phases = new Map(found.map(({ definition, state }) => [definition.id, state.phase]))
    const now = clock()
    return migrations.map((migration) => {
      const { id } = migration.definition
      return overviewRow(migration, { now, phases, fleet: fleets.get(id), work: works.get(id) })
    })
  }

  return [
    route({
      method: 'get',
      path: '/v1/overview',
      tag: 'migrations',
      permission: 'read',
      summary: 'Every migration at a glance: what needs a person first',
      query: z.strictObject({
        show: z.enum(SHOWN).default('all'),
        search: z.string().max(200).optional().describe('Part of an id, a title or a team'),
        after: z
          .string()
          .regex(/^\d{1,6}$/, 'expected the `next` of the page before')
          .transform(Number)
          .optional(),
        limit: limit(50, 200),
      }),
      response: z
        .object({
          at: time,
          totals: z.record(z.enum(SHOWN), z.int()),
          migrations: z.array(rowSchema),
          matching: z.int(),
          next: z.string().optional().describe('Give this as `after` for the next page'),
        })
        .meta({ id: 'Overview' }),
      handle: async ({ query }, { principal }) => {
        const all = await rowsFor(principal)
        const needle = query.search?.trim().toLowerCase() ?? ''
        const matching = all
          .filter((row) => isShown[query.show](row))
          .filter((row) => `${row.id} ${row.title} ${row.team ?? ''}`.toLowerCase().includes(needle))
          .sort(byUrgency)
        const from = query.after ?? 0
        const migrations = matching.slice(from, from + query.limit)
        const end = from + migrations.length
        const totals = Object.fromEntries(
          SHOWN.map((shown) => [shown, all.filter((row) => isShown[shown](row)).length]),
        ) as Record<Shown, number>
        return {
          body: {
            at: clock(),
            totals,
            migrations,
            matching: matching.length,
            ...(end < matching.length ? { next: String(end) } : {}),
          },
        }
      },
    }),
    route({
      method: 'get',
      path: '/v1/fleet',
      tag: 'instances',
      permission: 'read',
      summary: 'The fleet by application and version',
      description:
        'A token for certain migrations is told of the instances that have to do with one of those.',
      response: z
        .object({
          instances: z.int(),
          live: z.int(),
          groups: z.array(
            z.object({ app: z.string(), version: z.string(), instances: z.int(), live: z.int() }),
          ),
        })
        .meta({ id: 'Fleet' }),
      handle: async (_input, { principal }) => {
        const groups = await fleetGroups(db, principal.migrations)
        const sum = (of: (group: (typeof groups)[number]) => number) =>
          groups.reduce((total, group) => total + of(group), 0)
        return {
          body: { instances: sum((group) => group.instances), live: sum((group) => group.live), groups },
        }
      },
    }),
    route({
      method: 'get',
      path: '/v1/migrations/{id}/positions',
      tag: 'migrations',
      permission: 'read',
      summary: 'How many instances stand at which epoch, by application and version',
      params: migrationParams,
      scopedBy: 'id',
      response: z.object({
        groups: z.array(
          z
            .object({
              app: z.string(),
              version: z.string(),
              live: z.boolean(),
              applied: z.int(),
              drained: z.int(),
              instances: z.int(),
            })
            .meta({ id: 'PositionGroup' }),
        ),
      }),
      handle: async ({ params: { id } }) => ({ body: { groups: await positionGroups(db, id) } }),
    }),
  ]
}

const isShown: Readonly<Record<Shown, (row: ReturnType<typeof overviewRow>) => boolean>> = {
  all: () => true,
  active: (row) => row.direction !== 'planned' && row.direction !== 'done',
  attention: (row) => row.attention,
  planned: (row) => row.direction === 'planned',
  done: (row) => row.direction === 'done',
}
