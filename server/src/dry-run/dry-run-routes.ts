import type { MigrationDefinition, Path } from '@switchback/migrations-registry'
import { z } from 'zod'
import { differenceText } from '../catalog/compare-catalogs.ts'
import { recordChange } from '../changes/record-change.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import { HttpProblem, unknownMigration } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { migrationParams, time } from '../http/schemas.ts'
import type { PhaseService, StoredMigration } from '../phases/phase-service.ts'
import { statementSchema } from '../plan/plan-route.ts'
import { messageOf } from '../target/execution-error.ts'
import type { Target } from '../target/target.ts'
import type { DryRun } from './dry-run.ts'
import { keepDryRun, lastDryRun } from './dry-run-store.ts'
import { runOnTargets } from './run-on-targets.ts'

export interface DryRunRoutesDeps {
  readonly db: Db
  readonly clock: Clock
  readonly phases: PhaseService
  readonly databasesOf: (definition: MigrationDefinition) => Readonly<Record<Path, Target>>
}

const reportSchema = z
  .object({
    ok: z.boolean(),
    ran: z.string(),
    version: z.object({ target: z.string(), scratch: z.string().optional() }),
    statements: z.array(
      statementSchema.extend({
        seen: z.boolean().describe('Whether the locks were seen, or are those that the manual tells of'),
        rewrites: z.array(z.string()),
        scans: z.array(z.string()),
        changes: z.array(z.string()).describe('What it changed in the catalog'),
        estimateMs: z.number().describe('With its locks in hand, by the sizes of tables'),
        inTheWay: z.array(z.string()).describe('Sessions that it would have waited for'),
        error: z.string().optional(),
      }),
    ),
    skipped: z.array(z.object({ file: z.string(), reason: z.string() })),
    rollbackLeaves: z.array(z.string()).describe('What rollback.sql does not undo'),
    notCopied: z.array(z.object({ object: z.string(), reason: z.string() })),
    tables: z.array(
      z.object({
        table: z.string(),
        totalBytes: z.number(),
        rows: z.number(),
        readsPerSecond: z.number(),
        writesPerSecond: z.number(),
      }),
    ),
  })
  .meta({ id: 'DryRunReport' })
type Report = z.output<typeof reportSchema>

const keptSchema = z.object({
  run: z
    .object({ at: time, by: z.string(), current: z.boolean(), report: reportSchema })
    .optional()
    .describe('Left out where there was none; `current`: of the files that are registered now'),
})

function viewOf({
  ok,
  ran,
  version,
  skipped,
  rollbackLeaves,
  notCopied,
  tables,
  statements,
}: DryRun): Report {
  return {
    ok,
    ran,
    version: { ...version },
    statements: statements.map(({ changes, inTheWay, locks, rewrites, scans, ...statement }) => ({
      ...statement,
      locks: locks.map((lock) => ({ ...lock })),
      rewrites: [...rewrites],
      scans: [...scans],
      changes: changes.map(differenceText),
      inTheWay: inTheWay.map(({ pid, mode, table }) => `${pid} holds ${mode} on ${table}`),
    })),
    skipped: skipped.map((each) => ({ ...each })),
    rollbackLeaves: rollbackLeaves.map(differenceText),
    notCopied: notCopied.map((each) => ({ ...each })),
    tables: tables.map(({ bytes: _bytes, ...table }) => table),
  }
}

/** What the SQL of a migration would lock and change, seen on a copy of the schema. */
export function dryRunRoutes({ db, clock, phases, databasesOf }: DryRunRoutesDeps): readonly Route[] {
  // One at a time: each has a PostgreSQL of its own, and two of them would only slow each other down.
  let turn: Promise<unknown> = Promise.resolve()

  async function find(id: string): Promise<StoredMigration> {
    const migration = await phases.get(id)
    if (migration === undefined) throw unknownMigration(id)
    return migration
  }

  async function run(migration: StoredMigration): Promise<Report> {
    const mine = turn.then(() => runOnTargets(databasesOf(migration.definition), migration))
    turn = mine.catch(() => undefined)
    try {
      return viewOf(await mine)
    } catch (error) {
      throw new HttpProblem(
        'dry-run-failed',
        `The dry run could not be made: ${messageOf(error)}.`,
        { action: 'See that the target can be reached, and that its role may read the catalog.' },
        { cause: error },
      )
    }
  }

  const common = {
    tag: 'migrations',
    path: '/v1/migrations/{id}/dry-run',
    params: migrationParams,
    scopedBy: 'id',
    response: keptSchema,
  } as const
  return [
    route({
      ...common,
      method: 'get',
      permission: 'read',
      summary: 'The last dry run of the SQL files',
      problems: [404],
      handle: async ({ params: { id } }) => {
        const { checksum: present } = await find(id)
        const kept = await lastDryRun<Report>(db, id)
        if (kept === undefined) return { body: {} }
        const { checksum, ...rest } = kept
        return { body: { run: { ...rest, current: checksum === present } } }
      },
    }),
    route({
      ...common,
      method: 'post',
      permission: 'operate',
      summary: 'Runs the SQL files on a copy of the target without rows, and says what they lock',
      description:
        'Reads the catalog, sizes and locks of the target in a read-only transaction; nobody waits for it. Takes some seconds.',
      problems: [404, 503],
      handle: async ({ params: { id } }, { principal }) => {
        const migration = await find(id)
        const report = await run(migration)
        const { checksum } = migration
        const [at, by] = [clock(), principal.name]
        await db.tx(async (tx) => {
          await keepDryRun(tx, id, { checksum, at, by, report })
          const detail = { ok: report.ok, checksum }
          await recordChange(tx, { at, actor: by, kind: 'migration.dry-run', subject: id, detail })
        })
        return { body: { run: { at, by, current: true, report } } }
      },
    }),
  ]
}
