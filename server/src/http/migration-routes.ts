import { z } from 'zod'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import type { FleetReader } from '../fleet/fleet-port.ts'
import type { Incidents } from '../incidents/incidents.ts'
import type { PhaseService, StoredMigration, WorkRecord } from '../phases/phase-service.ts'
import { inScope } from '../tokens/tokens.ts'
import { type Watching, watchedSchema, watchedView } from '../tripwires/verdict-view.ts'
import { fleetSummary, migrationView } from './migration-view.ts'
import { unknownMigration } from './problem.ts'
import type { Route } from './route.ts'
import { route } from './route.ts'
import {
  fleetSchema,
  gateSchema,
  incidentSchema,
  migrationParams,
  migrationSchema,
  workSchema,
} from './schemas.ts'

export interface MigrationRoutesDeps {
  readonly db: Db
  readonly clock: Clock
  readonly phases: PhaseService
  readonly monitor: Watching
  readonly fleet: FleetReader
  readonly incidents: Pick<Incidents, 'list'>
  /** Database work of a migration with its progress, newest first. */
  readonly works: (migration: string) => Promise<readonly WorkRecord[]>
}

const SHOWN_INCIDENTS = 20
const common = { tag: 'migrations', permission: 'read', params: migrationParams, scopedBy: 'id' } as const

/** What can be seen of migrations. */
export function migrationRoutes(deps: MigrationRoutesDeps): readonly Route[] {
  const { db, clock, phases, fleet, incidents, works, monitor } = deps

  async function find(id: string): Promise<StoredMigration> {
    const migration = await phases.get(id)
    if (migration === undefined) throw unknownMigration(id)
    return migration
  }

  return [
    route({
      method: 'get',
      path: '/v1/migrations',
      tag: 'migrations',
      permission: 'read',
      summary: 'All migrations',
      response: z.object({ migrations: z.array(migrationSchema) }),
      handle: async (_input, { principal }) => {
        const all = await phases.list()
        const visible = all.filter((migration) => inScope(principal, migration.definition.id))
        return { body: { migrations: visible.map(migrationView) } }
      },
    }),
    route({
      ...common,
      method: 'get',
      path: '/v1/migrations/{id}',
      summary: 'One migration with its gate, work, open incidents and fleet',
      response: migrationSchema
        .extend({
          gate: gateSchema,
          works: z.array(workSchema),
          incidents: z.array(incidentSchema).describe('Open ones, newest first'),
          fleet: fleetSchema,
          tripwires: watchedSchema,
        })
        .meta({ id: 'MigrationDetail' }),
      problems: [404],
      handle: async ({ params: { id } }) => {
        const looked = await phases.look(id)
        if (looked === undefined) throw unknownMigration(id)
        const { migration, gate } = looked
        const { definition, state } = migration
        const [done, open, instances] = await Promise.all([
          works(id),
          incidents.list({ migration: id, status: 'open', limit: SHOWN_INCIDENTS }),
          fleet.factsFor(db, id, definition.apps),
        ])
        const summary = fleetSummary(instances, state.epoch, clock())
        const tripwires = watchedView(monitor, migration)
        return {
          body: {
            ...migrationView(migration),
            gate,
            works: done,
            incidents: open,
            fleet: summary,
            tripwires,
          },
        }
      },
    }),
    route({
      ...common,
      method: 'get',
      path: '/v1/migrations/{id}/gate',
      summary: 'What the next step is, and what stands in its way',
      response: gateSchema,
      problems: [404],
      handle: async ({ params: { id } }) => {
        const gate = await phases.gate(id)
        if (gate === undefined) throw unknownMigration(id)
        return { body: gate }
      },
    }),
    route({
      ...common,
      method: 'get',
      path: '/v1/migrations/{id}/works',
      summary: 'Database work with its progress, newest first',
      response: z.object({ works: z.array(workSchema) }),
      problems: [404],
      handle: async ({ params: { id } }) => {
        await find(id)
        return { body: { works: await works(id) } }
      },
    }),
  ]
}
