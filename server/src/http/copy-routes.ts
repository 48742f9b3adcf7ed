import type { MigrationDefinition } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Execution } from '../execution/execution-port.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { HttpProblem } from './problem.ts'
import type { Route } from './route.ts'
import { route } from './route.ts'
import { limit, migrationParams, time } from './schemas.ts'

export interface CopyRoutesDeps {
  readonly phases: PhaseService
  readonly failedRows: (
    definition: MigrationDefinition,
    page: Parameters<Execution['listFailedRows']>[1],
  ) => ReturnType<Execution['listFailedRows']>
  readonly copiedRanges: (definition: MigrationDefinition) => ReturnType<Execution['listRanges']>
}

const failedRowSchema = z
  .object({
    key: z.string().describe('In new; parts of a composite key are joined by U+001F'),
    sqlstate: z.string(),
    error: z.string(),
    failedAt: time,
  })
  .meta({ id: 'FailedRow' })

const copiedRangeSchema = z
  .object({
    name: z.string(),
    state: z.enum(['waiting', 'copying', 'done']),
    rows: z.number(),
    total: z.number().describe('An estimate where the range is not done'),
  })
  .meta({ id: 'CopiedRange' })

/** What a backfill has done, range by range, and the rows that it could not copy. */
export function copyRoutes({ phases, failedRows, copiedRanges }: CopyRoutesDeps): readonly Route[] {
  const known = async (id: string): Promise<MigrationDefinition> => {
    const migration = await phases.get(id)
    if (migration !== undefined) return migration.definition
    throw new HttpProblem('unknown-migration', `There is no migration "${id}".`, {
      action: 'List them with GET /v1/migrations.',
    })
  }
  return [
    route({
      method: 'get',
      path: '/v1/migrations/{id}/ranges',
      tag: 'migrations',
      permission: 'read',
      summary: 'The ranges of the backfill, in the order in which they are done',
      description:
        'Ranges of values (`copy.ranges`), or the tables of old where it is read by its blocks. Empty where all of old is gone through at once.',
      params: migrationParams,
      scopedBy: 'id',
      response: z.object({ ranges: z.array(copiedRangeSchema) }),
      problems: [404],
      handle: async ({ params: { id } }) => ({
        body: { ranges: [...(await copiedRanges(await known(id)))] },
      }),
    }),
    route({
      method: 'get',
      path: '/v1/migrations/{id}/failed-rows',
      tag: 'migrations',
      permission: 'read',
      summary: 'Rows that the backfill could not copy, each with its error, by key',
      description:
        'They block the gate. Mend them in old, then POST /v1/migrations/{id}/retry: the backfill tries them again.',
      params: migrationParams,
      scopedBy: 'id',
      query: z.strictObject({
        after: z.string().max(10_000).optional().describe('Key of the last one of the page before'),
        limit: limit(100),
      }),
      response: z.object({
        rows: z.array(failedRowSchema),
        next: z.string().optional().describe('Give this as `after` for the next page'),
      }),
      problems: [404],
      handle: async ({ params: { id }, query: { after, limit: size } }) => {
        const found = await failedRows(await known(id), {
          limit: size + 1,
          ...(after === undefined ? {} : { after }),
        })
        const rows = found.slice(0, size)
        const next = found.length > size ? rows.at(-1)?.key : undefined
        return { body: { rows, ...(next === undefined ? {} : { next }) } }
      },
    }),
  ]
}
