import {
  DEPLOYMENT_FINDINGS,
  DEPLOYMENT_VERDICTS,
  handlersByMigrationSchema,
  PHASES,
} from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Db } from '../db/db.ts'
import { storable } from '../fleet/registration.ts'
import { knownVersions } from '../fleet/version-store.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { nextStepSchema, path, time } from '../http/schemas.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { inScope } from '../tokens/tokens.ts'
import { judgeVersion } from './judge-version.ts'

const verdict = z.enum(DEPLOYMENT_VERDICTS).describe('`no` outweighs `unknown`, which outweighs `yes`')
const name = z.string().min(1).max(200).refine(storable, 'expected text without NUL')

const findingSchema = z
  .object({
    code: z.enum(DEPLOYMENT_FINDINGS),
    verdict: verdict.optional().describe('Missing where it is only to be known'),
    message: z.string(),
    action: z.string(),
  })
  .meta({ id: 'DeploymentFinding' })

const paths = z.array(path)
const after = { needs: paths.describe('Paths that take a handler'), missing: paths }

const deploymentSchema = z
  .object({
    app: z.string(),
    version: z.string(),
    verdict,
    handlersFrom: z
      .enum(['request', 'registration', 'nowhere'])
      .describe('Where what is known of the handlers comes from'),
    lastSeen: time.optional().describe('When an instance of this version last registered, or tried to'),
    findings: z.array(findingSchema).describe('What concerns the version as a whole'),
    migrations: z
      .array(
        z.object({
          id: z.string(),
          verdict,
          phase: z.enum(PHASES),
          epoch: z.int(),
          handlers: z.array(z.string()).optional().describe('Missing where the version does not declare it'),
          ...after,
          next: z
            .object({ step: nextStepSchema, ...after })
            .optional()
            .describe('After the next step forward'),
          back: z
            .array(z.object({ to: z.enum(PHASES), ...after }))
            .describe('After the reverts that are possible from here, nearest first'),
          findings: z.array(findingSchema),
        }),
      )
      .describe('Those that the version, its application, or another version of it has to do with'),
  })
  .meta({ id: 'Deployment' })

/** What pipelines ask before they deploy. */
export const deploymentRoutes = ({
  db,
  phases,
}: {
  readonly db: Db
  readonly phases: Pick<PhaseService, 'list' | 'gate'>
}): readonly Route[] => [
  route({
    method: 'post',
    path: '/v1/can-i-deploy',
    tag: 'instances',
    permission: 'evaluate',
    summary: 'Whether a version of an application may be deployed now, forward or back',
    description:
      'Judges by the rules of registration and gate. Without `migrations` by what instances of that version told when they registered. Changes nothing. A token for certain migrations hears of those alone.',
    body: z.strictObject({
      app: name,
      version: name,
      migrations: handlersByMigrationSchema
        .optional()
        .describe('What the version can do; a migration that is left out is not declared by it'),
    }),
    response: deploymentSchema,
    handle: async ({ body: { app, version, migrations } }, { principal }) => {
      const deps = {
        phases,
        known: (ofApp: string, ofVersion: string) => knownVersions(db, ofApp, ofVersion),
        mayHear: (migration: string) => inScope(principal, migration),
      }
      const asked = { app, version, ...(migrations === undefined ? {} : { migrations }) }
      return { body: await judgeVersion(deps, asked) }
    },
  }),
]
