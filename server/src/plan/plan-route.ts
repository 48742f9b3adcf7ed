import { PHASES } from '@switchback/migrations-registry'
import { z } from 'zod'
import { HttpProblem, unknownMigration } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { migrationParams } from '../http/schemas.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { ExecutionError } from '../target/execution-error.ts'
import { planMigration } from './plan-migration.ts'

const file = z.enum(['expand', 'rollback', 'contract'])

export const lockSchema = z
  .object({
    mode: z.string(),
    on: z.string(),
    blocks: z.string().describe('What waits while it is held'),
    new: z.boolean().describe('The migration itself has made the table: nobody waits'),
  })
  .meta({ id: 'PlannedLock' })

export const statementSchema = z
  .object({
    file,
    position: z.int().describe('In its file, from 1'),
    text: z.string(),
    runs: z.enum(['in a transaction', 'without a transaction']),
    locks: z.array(lockSchema),
    blocking: z.boolean().describe('It holds up reads or writes of a table in use'),
    work: z.enum(['catalog', 'scan', 'index build', 'rewrite', 'rows']),
  })
  .meta({ id: 'PlannedStatement' })

/** What a migration would do from beginning to end, and the way back from each phase. */
export const planRoute = ({ phases }: { readonly phases: Pick<PhaseService, 'get'> }): Route =>
  route({
    method: 'get',
    path: '/v1/migrations/{id}/plan',
    tag: 'migrations',
    permission: 'read',
    summary: 'Phases, gates, statements and ways back, as the registered definition has them',
    params: migrationParams,
    scopedBy: 'id',
    response: z
      .object({
        phases: z.array(
          z.object({
            phase: z.enum(PHASES),
            meaning: z.string(),
            gate: z.array(z.string()).describe('What must hold before it is entered'),
            runs: file.optional().describe('File that runs on the way into it'),
            wayBack: z.string(),
            revertsTo: z.enum(PHASES).optional(),
            way: z
              .enum(['none', 'flags', 'rollback', 'slow'])
              .describe('flags: one commit and a push; rollback: new goes unused; slow: data goes back'),
          }),
        ),
        slowFrom: z
          .enum(PHASES)
          .optional()
          .describe('The first phase from which the way back takes as long as the data is large'),
        statements: z.array(statementSchema),
      })
      .meta({ id: 'MigrationPlan' }),
    problems: [404, 422],
    handle: async ({ params: { id } }) => {
      const migration = await phases.get(id)
      if (migration === undefined) throw unknownMigration(id)
      try {
        const {
          phases: rows,
          slowFrom,
          statements,
        } = await planMigration(migration.definition, migration.sql)
        return { body: { phases: rows, statements, ...(slowFrom === undefined ? {} : { slowFrom }) } }
      } catch (error) {
        if (!(error instanceof ExecutionError)) throw error
        throw new HttpProblem('invalid-definition', error.message, {
          action: `Mend the file and register it again; GET /v1/migrations/${id}/files shows where.`,
        })
      }
    },
  })
