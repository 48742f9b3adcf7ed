import { type MigrationDefinition, parseDefinition } from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Flags } from '../flags/flags.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { actorOf, authorizeScope } from './authenticate.ts'
import { migrationView } from './migration-view.ts'
import { HttpProblem } from './problem.ts'
import { changedOrThrow } from './refusal.ts'
import type { Route } from './route.ts'
import { route } from './route.ts'
import { migrationSchema } from './schemas.ts'

const sqlText = z.string().min(1).max(500_000)

const registrationSchema = z
  .strictObject({
    yaml: z.string().min(1).max(200_000).describe('Text of migration.yaml'),
    sql: z.strictObject({ expand: sqlText, rollback: sqlText.optional(), contract: sqlText.optional() }),
  })
  .meta({ id: 'MigrationRegistration' })

export interface RegisterRouteDeps {
  readonly phases: Pick<PhaseService, 'get' | 'register'>
  readonly flags: Pick<Flags, 'get'>
  /** Why this server cannot run the code that a definition names, and what to do; undefined where it can. */
  readonly stepMissing: (definition: MigrationDefinition) => Promise<string | undefined>
}

/** Registers a migration from the texts of its folder. */
export const registerRoute = ({ phases, flags, stepMissing }: RegisterRouteDeps): Route =>
  route({
    method: 'post',
    path: '/v1/migrations',
    tag: 'migrations',
    permission: 'operate',
    summary: 'Registers a migration, or replaces the definition of one that is still planned',
    description:
      'The same again changes nothing. Answers 422 with every problem of the definition and its line.',
    status: 201,
    body: registrationSchema,
    response: migrationSchema,
    problems: [409, 422],
    handle: async ({ body }, { principal }) => {
      const parsed = parseDefinition(body.yaml, 'migration.yaml')
      if (!parsed.ok) {
        const { problems } = parsed
        const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
        const first = problems[0]
        const place = first === undefined ? '' : `, the first in line ${first.line}: ${first.message}`
        throw new HttpProblem('invalid-definition', `migration.yaml has ${count}${place}`, { problems })
      }
      const { definition } = parsed
      authorizeScope(principal, definition.id)
      const { alias } = definition.flags
      if (alias !== undefined && (await flags.get(alias)) !== undefined) {
        throw new HttpProblem('alias-taken', `There is a flag "${alias}", which the alias would hide.`, {
          action: 'Choose another alias, or remove the flag.',
        })
      }
      const missing = await stepMissing(definition)
      if (missing !== undefined) {
        throw new HttpProblem('step-not-here', `This server does not have the code: ${missing}.`, {
          action:
            'Code is never taken over this API. Deploy the folder with the server, then register again.',
        })
      }
      const { expand, rollback, contract } = body.sql
      const sql = {
        expand,
        ...(rollback === undefined ? {} : { rollback }),
        ...(contract === undefined ? {} : { contract }),
      }
      const result = await phases.register({ definition, sql, source: body.yaml }, actorOf(principal))
      return { body: migrationView(changedOrThrow(result)) }
    },
  })
