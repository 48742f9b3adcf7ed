import { z } from 'zod'
import { afterRevertSchema, checkSchema } from './check-schema.ts'
import { rangesSchema } from './ranges-schema.ts'
import { throttleSchema } from './throttle.ts'
import { timingSchema } from './timing.ts'
import { toleranceSchema } from './tolerance-schema.ts'
import { DEFAULT_TRIPWIRES, type Tripwire, tripwireSchema } from './tripwire-schema.ts'
import { durationSchema, percentSchema } from './units.ts'

/** Ids of migrations; they become part of identifiers in the target, hence the limit of 48. */
export const migrationIdSchema = z
  .string()
  .regex(
    /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/,
    'expected lower-case words joined by single dashes, such as "user-profiles"',
  )
  .max(48)

const identifier = z
  .string()
  .regex(
    /^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?$/,
    'expected a table or column name, optionally with its schema',
  )
  .max(127)

const expressions = z
  .record(z.string().regex(/^[A-Za-z_][\w$]*$/, 'expected a column name'), z.string().min(1))
  .refine((columns) => Object.keys(columns).length > 0, 'expected at least one column')

const targetName = z.string().regex(/^[a-z][a-z0-9-]*$/, 'expected lower-case letters, digits and dashes')

export const copySchema = z
  .strictObject({
    from: identifier.describe('Table that old reads and writes'),
    to: identifier.describe('Table that new reads and writes'),
    toTarget: targetName
      .optional()
      .describe(
        'Database of the new table, where it is another than `target`: independent mode. Expand and rollback run there, contract in `target`',
      ),
    step: z
      .string()
      .regex(
        /^\.\/[\w-][\w.-]*\.(ts|mts|js|mjs)$/,
        'expected a file of the migration folder, such as "./backfill.ts"',
      )
      .optional()
      .describe(
        'Code that writes new where it is no table of PostgreSQL: a file beside migration.yaml that exports a backfill step. `to` is then the name of the store',
      ),
    key: expressions.describe('Key of the new table: its column → SQL expression over the old table'),
    columns: expressions.describe('Column of the new table → SQL expression over the old table'),
    where: z
      .string()
      .min(1)
      .optional()
      .describe('SQL condition over the old table: rows that have a counterpart'),
    reverse: expressions
      .optional()
      .describe('Column of the old table → SQL expression over the new table, where it cannot be derived'),
    compare: z
      .record(z.string(), toleranceSchema)
      .optional()
      .describe(
        'Column of the new table → what still counts as equal when both paths are compared; exact where not named',
      ),
    chunk: z
      .strictObject({
        target: durationSchema.default(500),
        min: z.int().min(1).default(500),
        max: z.int().min(1).max(500_000).default(50_000),
      })
      .prefault({}),
    stopAbove: percentSchema
      .default(0.01)
      .describe(
        'The backfill stops when more than this share of the rows cannot be copied, and more than 10',
      ),
    throttle: throttleSchema.prefault({}),
    ranges: rangesSchema.optional(),
  })
  .refine(({ compare = {}, columns }) => Object.keys(compare).every((name) => name in columns), {
    path: ['compare'],
    message: 'names a column that copy.columns does not have',
  })
  .refine(
    ({ compare = {}, toTarget }) =>
      toTarget === undefined || Object.values(compare).every((one) => one === 'json'),
    {
      path: ['compare'],
      message: 'across databases checksums are compared: only "json" can be tolerated there',
    },
  )
  .refine(({ step, toTarget }) => step === undefined || toTarget === undefined, {
    path: ['step'],
    message: 'writes new itself: toTarget, the database of a new table, has no meaning beside it',
  })
  .refine(({ step, compare }) => step === undefined || compare === undefined, {
    path: ['compare'],
    message: 'is for tables: what a step calls equal is said by its equal()',
  })
  .describe('One mapping serves backfill, verification, repair and the way back')

/** How statements of `expand.sql`, `rollback.sql` and `contract.sql` are run; the server's own settings where left out. */
const ddlSchema = z.strictObject({
  lockTimeout: durationSchema
    .optional()
    .describe('How long a statement waits for its locks, holding up who comes after; default 2s'),
  statementTimeout: durationSchema.optional().describe('Limit of statements that touch the catalog only'),
  deadline: durationSchema.optional().describe('How long a statement is tried; default 10m'),
  replicaLag: durationSchema
    .optional()
    .describe('How far replicas may be behind when a statement begins; default 10s'),
  cancelBlockers: durationSchema
    .optional()
    .describe(
      'Ends transactions that hold a lock in the way for longer than this. Never autovacuum. Left out, nobody is ended',
    ),
})

const soak = durationSchema.default(0)
export const rolloutStepSchema = z.union(
  [
    z.strictObject({ canary: z.int().min(1).max(1000), soak }),
    z.strictObject({ share: percentSchema, soak }),
  ],
  {
    error: 'expected { canary: <instances>, soak } or { share: <percentage>, soak }',
  },
)

export const definitionSchema = z
  .strictObject({
    id: migrationIdSchema,
    title: z.string().min(1).max(200),
    target: targetName
      .default('main')
      .describe('Name of the database; its connection comes from TARGET_<NAME>_URL'),
    owner: z
      .strictObject({
        team: z.string().min(1),
        contacts: z
          .array(z.string().min(1).max(320))
          .max(20)
          .default([])
          .describe('Called one after the other until somebody acknowledges: names of channels, or mailto:'),
        escalateAfter: durationSchema
          .default(300_000)
          .describe('How long each contact is waited for before the next is called'),
      })
      .optional(),
    apps: z
      .array(z.string().min(1))
      .default([])
      .describe('Applications whose every instance must have handlers for this migration'),
    copy: copySchema.optional(),
    writes: z
      .enum(['sdk', 'trigger'])
      .default('sdk')
      .describe(
        'Who keeps both paths current from dual-write to promoted: the SDK, which writes both, or triggers, which carry every write of either table to the other, whoever makes it',
      ),
    ddl: ddlSchema.prefault({}),
    expand: timingSchema.prefault({}).describe('When expand.sql may begin'),
    fence: z.boolean().default(true),
    rollout: z
      .array(rolloutStepSchema)
      .min(1)
      .default([{ share: 1, soak: 0 }]),
    tripwires: z.array(tripwireSchema).optional(),
    shadow: z
      .strictObject({
        sample: percentSchema.default(1),
        concurrency: z.int().min(1).max(1000).default(8),
        timeout: durationSchema.default(1000),
      })
      .prefault({}),
    retire: z.strictObject({ after: durationSchema.default(0) }).prefault({}),
    contract: z
      .strictObject({
        ...timingSchema.shape,
        after: durationSchema.default(0),
        approvals: z.int().min(0).max(10).default(1),
        unaffected: z
          .array(z.string().min(1))
          .default([])
          .describe('Functions whose body names what contract.sql drops although they do not use it'),
        archive: z.strictObject({ keep: durationSchema.default(90 * 86_400_000) }).prefault({}),
      })
      .prefault({}),
    checks: z.array(checkSchema).default([]).describe('Critical flows; run after a revert'),
    afterRevert: afterRevertSchema.optional(),
    flags: z.strictObject({ alias: z.string().min(1).max(100).optional() }).prefault({}),
    autopilot: z.boolean().default(false).describe('Advance by itself whenever the gate is open'),
    dependsOn: z.array(migrationIdSchema).default([]),
  })
  .refine((definition) => definition.copy?.toTarget !== definition.target, {
    path: ['copy', 'toTarget'],
    message: 'names the same database as target: leave it out',
  })
  .refine(
    ({ writes, copy }) =>
      writes === 'sdk' || (copy !== undefined && copy.toTarget === undefined && copy.step === undefined),
    {
      path: ['writes'],
      message:
        'triggers are generated from copy, between two tables of one database: toTarget and step need "sdk"',
    },
  )
  .refine((definition) => definition.copy === undefined || 'share' in lastStep(definition.rollout), {
    path: ['rollout'],
    message: 'the last step must be a share of 100%',
  })
  .refine((definition) => definition.copy === undefined || climbs(definition.rollout), {
    path: ['rollout'],
    message: 'shares must climb and end at 100%',
  })

type Step = z.output<typeof rolloutStepSchema>
const lastStep = (steps: readonly Step[]): Step => steps[steps.length - 1] ?? { share: 0, soak: 0 }
function climbs(steps: readonly Step[]): boolean {
  const shares = steps.flatMap((step) => ('share' in step ? [step.share] : []))
  return shares.every((share, i) => i === 0 || share > (shares[i - 1] ?? 0)) && shares.at(-1) === 1
}

export type MigrationDefinition = z.output<typeof definitionSchema>
export type CopyMapping = z.output<typeof copySchema>
export type RolloutStep = z.output<typeof rolloutStepSchema>

/** The SQL files of a migration folder. */
export interface MigrationSql {
  readonly expand: string
  readonly rollback?: string
  readonly contract?: string
}

export const tripwiresOf = (definition: MigrationDefinition): readonly Tripwire[] =>
  definition.tripwires ?? DEFAULT_TRIPWIRES

/** JSON Schema of `migration.yaml` for editors. */
export const definitionJsonSchema = (): unknown =>
  z.toJSONSchema(definitionSchema, {
    io: 'input',
    unrepresentable: 'any',
    target: 'draft-2020-12',
  })
