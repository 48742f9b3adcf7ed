import { z } from 'zod'
import { unknownMigration } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { migrationParams } from '../http/schemas.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { DEFAULT_VERSION, lintMigration } from './lint.ts'

const findingSchema = z
  .object({
    rule: z.string(),
    severity: z.enum(['error', 'warning']),
    file: z.string(),
    line: z.int(),
    column: z.int(),
    message: z.string(),
    lock: z
      .object({ mode: z.string(), on: z.string(), blocks: z.string() })
      .optional()
      .describe('The lock that the statement takes'),
    fix: z.string().optional().describe('SQL that replaces the statement'),
  })
  .meta({ id: 'LintFinding' })

/** A migration as it was registered, and what the lint says of its SQL. */
export const filesRoute = ({ phases }: { readonly phases: Pick<PhaseService, 'get'> }): Route =>
  route({
    method: 'get',
    path: '/v1/migrations/{id}/files',
    tag: 'migrations',
    permission: 'read',
    summary: 'The texts that were registered, with what the lint finds in them',
    params: migrationParams,
    scopedBy: 'id',
    response: z
      .object({
        yaml: z.string(),
        sql: z.record(z.string(), z.string()).describe('By name: expand, rollback, contract'),
        findings: z.array(findingSchema),
        unreadable: z.array(z.object({ file: z.string(), line: z.int(), message: z.string() })),
      })
      .meta({ id: 'MigrationFiles' }),
    problems: [404],
    handle: async ({ params: { id } }) => {
      const migration = await phases.get(id)
      if (migration === undefined) throw unknownMigration(id)
      const { findings, unreadable } = await lintMigration(migration, (file) => file, DEFAULT_VERSION)
      return {
        body: {
          yaml: migration.source,
          sql: { ...migration.sql },
          findings: findings.map(({ rule, severity, file, line, column, message, lock, fix }) => ({
            rule,
            severity,
            file,
            line,
            column,
            message,
            ...(lock === null ? {} : { lock: { mode: lock.mode, on: lock.on, blocks: lock.blocks } }),
            ...(fix === null ? {} : { fix }),
          })),
          unreadable: unreadable.map(({ file, line, message }) => ({ file, line, message })),
        },
      }
    },
  })
