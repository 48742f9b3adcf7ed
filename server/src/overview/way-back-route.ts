import { PHASES, WRITE_VARIANTS } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import type { FleetReader } from '../fleet/fleet-port.ts'
import { unknownMigration } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { configSchema, migrationParams } from '../http/schemas.ts'
import type { Incidents } from '../incidents/incidents.ts'
import type { PhaseService, WorkRecord } from '../phases/phase-service.ts'
import { wayBack } from './way-back.ts'

const position = z.object({ phase: z.enum(PHASES), epoch: z.int() })

const wayBackSchema = z
  .discriminatedUnion('possible', [
    z.object({
      possible: z.literal(true),
      from: position,
      at: z.enum(PHASES).describe('Where it stands at once'),
      target: z.enum(PHASES).describe('Where it ends'),
      choices: z.array(z.enum(PHASES)).describe('How far back one may ask to go'),
      flags: z.object({ write: z.enum(WRITE_VARIANTS), read: configSchema.shape.read }),
      work: z.string().optional().describe('Database work that it takes'),
      waits: z.boolean().describe('Whether it begins only when nobody can be hurt'),
      speed: z.enum(['instant', 'work', 'waits']),
      takes: z.string(),
      likelyMs: z.number().optional().describe('How long it took the last time'),
    }),
    z.object({
      possible: z.literal(false),
      from: position,
      choices: z.array(z.enum(PHASES)),
      refusal: z.object({ code: z.string(), message: z.string(), action: z.string() }),
    }),
  ])
  .meta({ id: 'WayBack' })

const REMEMBERED = 5

export interface WayBackDeps {
  readonly db: Db
  readonly clock: Clock
  readonly phases: Pick<PhaseService, 'get'>
  readonly fleet: FleetReader
  readonly works: (migration: string) => Promise<readonly WorkRecord[]>
  readonly incidents: Pick<Incidents, 'list'>
}

/** What a revert would do, before anybody asks for one. */
export const wayBackRoute = ({ db, clock, phases, fleet, works, incidents }: WayBackDeps): Route =>
  route({
    method: 'get',
    path: '/v1/migrations/{id}/way-back',
    tag: 'migrations',
    permission: 'read',
    summary: 'Where a revert from here leads, what it does, and how long it takes',
    params: migrationParams,
    scopedBy: 'id',
    query: z.strictObject({ to: z.enum(PHASES).optional() }),
    response: wayBackSchema,
    problems: [404],
    handle: async ({ params: { id }, query }) => {
      const migration = await phases.get(id)
      if (migration === undefined) throw unknownMigration(id)
      const [instances, done, past] = await Promise.all([
        fleet.factsFor(db, id, migration.definition.apps),
        works(id),
        incidents.list({ migration: id, limit: REMEMBERED }),
      ])
      const lastReverts = past.flatMap(({ committedAt, lastAckAt }) =>
        committedAt === undefined || lastAckAt === undefined ? [] : [Math.max(0, lastAckAt - committedAt)],
      )
      return {
        body: wayBack(migration, { now: clock(), instances, works: done, lastReverts }, query.to),
      }
    },
  })
