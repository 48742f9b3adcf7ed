import type { MigrationDefinition, Path } from '@switchback/migrations-registry'
import { z } from 'zod'
import { HttpProblem, unknownMigration } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { limit, migrationParams, path, time } from '../http/schemas.ts'
import type { PhaseService, StoredMigration } from '../phases/phase-service.ts'
import { isDataError, messageOf } from '../target/execution-error.ts'
import type { Target } from '../target/target.ts'
import { bothRows, UnfitKey } from './both-rows.ts'
import { chunkCells } from './chunk-cells.ts'
import { repairQueue } from './repair-queue.ts'

export interface DataRoutesDeps {
  readonly phases: PhaseService
  /** The databases of a migration; the same twice where both paths are in one. */
  readonly databasesOf: (definition: MigrationDefinition) => Readonly<Record<Path, Target>>
}

const MAX_CELLS = 400

const cellSchema = z
  .object({
    chunks: z.int(),
    open: z.int().describe('Handed out and not done'),
    rows: z.int(),
    changed: z.int().describe('Rows of new that were written; the others were equal already'),
    slowestMs: z.number().optional(),
    meanMs: z.number().optional(),
    failed: z.int().describe('Rows that could not be copied'),
    after: z.string().optional().describe('The key after which it begins'),
    upTo: z.string(),
  })
  .meta({ id: 'ChunkCell' })

const copySchema = z
  .object({
    epoch: z.int(),
    beganAt: time,
    total: z.int().describe('Rows of old when it began'),
    chunks: z.int(),
    done: z.int(),
    rows: z.int(),
    failed: z.int(),
    medianMs: z.number().optional(),
    cells: z.array(cellSchema).describe('In the order in which chunks were handed out'),
  })
  .meta({ id: 'CopyCells' })

const repairSchema = z
  .object({
    key: z.string().describe('In new; parts of a composite key are joined by U+001F'),
    path: path.describe('The path that is behind'),
    epoch: z.int(),
    reason: z.string(),
    queuedAt: time,
    attempts: z.int(),
    lastError: z.string().optional(),
    settling: z.boolean().describe('Copied; it stays until no transaction is left that could miss it'),
  })
  .meta({ id: 'QueuedRepair' })

const rowsSchema = z
  .object({
    key: z.string(),
    present: z.object({ old: z.boolean(), new: z.boolean() }),
    columns: z.array(
      z.object({
        name: z.string().describe('In new'),
        old: z.string().optional().describe('As new should have it; null where left out'),
        new: z.string().optional(),
        differs: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'BothRows' })

/** What can be seen of the data of a migration beyond its works. */
export function dataRoutes({ phases, databasesOf }: DataRoutesDeps): readonly Route[] {
  const common = { tag: 'migrations', params: migrationParams, scopedBy: 'id', method: 'get' } as const

  async function find(id: string): Promise<StoredMigration> {
    const migration = await phases.get(id)
    if (migration === undefined) throw unknownMigration(id)
    return migration
  }

  return [
    route({
      ...common,
      path: '/v1/migrations/{id}/chunks',
      permission: 'read',
      summary: 'The chunks of the last backfill, neighbours joined into a few hundred cells at most',
      query: z.strictObject({ cells: limit(200, MAX_CELLS) }),
      response: z.object({
        copy: copySchema.optional().describe('Left out where nothing was copied yet'),
      }),
      problems: [404],
      handle: async ({ params: { id }, query: { cells } }) => {
        const { definition } = await find(id)
        const copy = await chunkCells(databasesOf(definition).new, id, cells)
        return { body: copy === undefined ? {} : { copy } }
      },
    }),
    route({
      ...common,
      path: '/v1/migrations/{id}/repairs',
      permission: 'read',
      summary: 'Keys that wait for repair, the oldest first',
      query: z.strictObject({ limit: limit(100) }),
      response: z.object({
        total: z.int(),
        oldestAt: time.optional(),
        intents: z.int().describe('Writes whose second half was not confirmed yet; two databases only'),
        repairs: z.array(repairSchema),
      }),
      problems: [404],
      handle: async ({ params: { id }, query: { limit: size } }) => {
        const { definition } = await find(id)
        const databases = databasesOf(definition)
        return { body: await repairQueue([...new Set([databases.old, databases.new])], id, size) }
      },
    }),
    route({
      ...common,
      path: '/v1/migrations/{id}/rows',
      permission: 'operate',
      summary: 'One key as it is on both paths now, column by column',
      description: 'Takes the role operator: it shows rows of the application.',
      query: z.strictObject({
        key: z.string().min(1).max(10_000).describe('Parts of a composite key are joined by U+001F'),
      }),
      response: rowsSchema,
      problems: [404, 409],
      handle: async ({ params: { id }, query: { key } }) => {
        const { definition, state } = await find(id)
        if (definition.copy === undefined || state.phase === 'planned' || state.phase === 'contracted') {
          throw new HttpProblem('not-comparable', `${id} has no two paths to compare at ${state.phase}.`, {
            action: 'Compare between expanded and retired.',
          })
        }
        try {
          return { body: await bothRows(databasesOf(definition), definition, key) }
        } catch (error) {
          if (!(error instanceof UnfitKey) && !isDataError(error)) throw error
          throw new HttpProblem('invalid-request', messageOf(error), {
            problems: [{ path: 'query.key', message: 'expected a key of this migration' }],
          })
        }
      },
    }),
  ]
}
