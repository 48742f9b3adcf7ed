import type { MigrationDefinition } from '@switchback/migrations-registry'
import { z } from 'zod'
import { compareCatalogs, differenceText, fingerprint } from '../catalog/compare-catalogs.ts'
import { driftIn, type SchemaState } from '../catalog/ledger.ts'
import { recordChange } from '../changes/record-change.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import type { Execution } from '../execution/execution-port.ts'
import type { PhaseService, StoredMigration } from '../phases/phase-service.ts'
import { HttpProblem } from './problem.ts'
import type { Route } from './route.ts'
import { route } from './route.ts'
import { migrationParams, reason } from './schemas.ts'

export interface DriftRoutesDeps {
  readonly db: Db
  readonly clock: Clock
  readonly phases: PhaseService
  /** The database work of a migration's target. */
  readonly schemaOf: (definition: MigrationDefinition) => Pick<Execution, 'schema' | 'acceptSchema'>
}

const differenceSchema = z
  .object({
    object: z.string().describe('Such as `column public.users.bio`'),
    kind: z.enum(['missing', 'unexpected', 'changed']),
    expected: z.string().optional(),
    found: z.string().optional(),
    message: z.string(),
  })
  .meta({ id: 'SchemaDifference' })

const driftSchema = z
  .object({
    databases: z.array(
      z.object({
        known: z
          .boolean()
          .describe('False until a migration has run there: then there is nothing to compare with'),
        fingerprint: z.string().describe('Of the schema as it is'),
        expected: z.string().optional().describe('Fingerprint of the schema as the migrations have left it'),
        differences: z.array(differenceSchema),
      }),
    ),
  })
  .meta({ id: 'Drift' })

const driftOf = (states: readonly SchemaState[]) => ({
  databases: states.map((state) => ({
    known: state.expected !== undefined,
    fingerprint: fingerprint(state.found),
    ...(state.expected === undefined ? {} : { expected: fingerprint(state.expected) }),
    differences: driftIn(state).map((difference) => ({ ...difference, message: differenceText(difference) })),
  })),
})

/** What was changed in a target by hand. */
export function driftRoutes({ db, clock, phases, schemaOf }: DriftRoutesDeps): readonly Route[] {
  async function find(id: string): Promise<StoredMigration> {
    const migration = await phases.get(id)
    if (migration !== undefined) return migration
    throw new HttpProblem('unknown-migration', `There is no migration "${id}".`, {
      action: 'List them with GET /v1/migrations.',
    })
  }
  const common = {
    tag: 'migrations',
    params: migrationParams,
    scopedBy: 'id',
    response: driftSchema,
    problems: [404],
  }

  return [
    route({
      ...common,
      method: 'get',
      path: '/v1/migrations/{id}/drift',
      permission: 'read',
      summary: "What is other in the migration's target than the applied migrations say",
      handle: async ({ params: { id } }) => {
        const { definition } = await find(id)
        return { body: driftOf(await schemaOf(definition).schema()) }
      },
    }),
    route({
      ...common,
      method: 'post',
      path: '/v1/migrations/{id}/drift/accept',
      permission: 'administer',
      summary: "Takes the schema of the migration's target as it is for what it should be",
      body: z.strictObject({ reason }),
      handle: async ({ params: { id }, body }, { principal }) => {
        const { definition } = await find(id)
        const execution = schemaOf(definition)
        const before = await execution.schema()
        await execution.acceptSchema()
        const after = await execution.schema()
        const accepted = before.flatMap((state) =>
          state.expected === undefined
            ? []
            : compareCatalogs(state.expected, state.found).map(differenceText),
        )
        await db.tx((tx) =>
          recordChange(tx, {
            at: clock(),
            actor: principal.name,
            kind: 'schema.drift-accepted',
            subject: id,
            detail: { reason: body.reason, target: definition.target, accepted },
          }),
        )
        return { body: driftOf(after) }
      },
    }),
  ]
}
