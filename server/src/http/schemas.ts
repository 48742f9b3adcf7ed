import {
  BLOCKER_CODES,
  migrationIdSchema,
  PHASES,
  READ_VARIANTS,
  WRITE_VARIANTS,
} from '@switchback/migrations-registry'
import { z } from 'zod'

/** Shapes that several routes share. Times in answers are Unix milliseconds. */
export const time = z.number().describe('Unix milliseconds')
export const path = z.enum(['old', 'new'])
const workKind = z.enum([
  'expand',
  'rollback',
  'backfill',
  'verify',
  'reverse-backfill',
  'contract',
  'restore',
])

export const migrationParams = z.object({ id: migrationIdSchema })
export const keyParams = z.object({ key: z.string().min(1).max(200) })
export const idParams = z.object({ id: z.string().min(1).max(200) })
export const reason = z.string().min(1).max(1000)

/** How many to answer with. Query parameters are text. */
export const limit = (standard: number, max = 1000) =>
  z
    .string()
    .regex(/^\d{1,6}$/, 'expected a whole number')
    .transform(Number)
    .refine((count) => count >= 1 && count <= max, `expected 1 to ${max}`)
    .default(standard)
    .describe(`How many at most; up to ${max}`)

export const revision = z
  .string()
  .regex(/^\d{1,15}$/, 'expected a revision')
  .transform(Number)

const blockerSchema = z
  .object({
    code: z.enum(BLOCKER_CODES),
    subject: z.string().describe('Who or what: an instance, a kind of work, a migration'),
    since: time.optional(),
    until: time.optional().describe('When it ends by itself, where that is known'),
    message: z.string(),
    action: z.string(),
    forceable: z.boolean().describe('Whether an admin may pass over it with a reason'),
  })
  .meta({ id: 'Blocker' })

export const nextStepSchema = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('work'), work: workKind, to: z.enum(PHASES) }),
    z.object({ kind: z.literal('phase'), to: z.enum(PHASES) }),
    z.object({ kind: z.literal('rollout'), step: z.int(), share: z.number(), canaries: z.int() }),
    z.object({ kind: z.literal('none') }),
  ])
  .meta({ id: 'NextStep' })

export const gateSchema = z
  .object({
    open: z.boolean(),
    next: nextStepSchema,
    blockers: z.array(blockerSchema),
    passFence: z.number().optional().describe('The fence is passed up to this epoch before the step'),
  })
  .meta({ id: 'Gate' })

export const workSchema = z
  .object({
    kind: workKind,
    epoch: z.int(),
    status: z.enum(['pending', 'running', 'done', 'failed']),
    progress: z.object({
      stage: z.string().optional(),
      done: z.number().optional(),
      total: z.number().optional(),
      rate: z.number().optional().describe('Rows per second'),
      etaMs: z.number().optional(),
      throttledBy: z.string().optional(),
      workers: z
        .array(
          z.object({
            name: z.string().describe('Host, process and number'),
            rows: z.number(),
            chunkRows: z.number().describe('Rows of its last chunk'),
            chunkMs: z.number(),
          }),
        )
        .optional(),
      ranges: z
        .object({
          all: z.int(),
          done: z.int(),
          active: z.array(
            z.object({ name: z.string(), rows: z.number().optional(), total: z.number().optional() }),
          ),
        })
        .optional()
        .describe('Where work that goes by ranges of values, or by several tables, stands'),
      detail: z.record(z.string(), z.unknown()).optional(),
    }),
    result: z.record(z.string(), z.unknown()).optional(),
    error: z.string().optional(),
    startedAt: time,
    updatedAt: time,
    endedAt: time.optional(),
  })
  .meta({ id: 'Work' })

const readRule = z.union([
  z.object({ kind: z.literal('fixed'), variant: z.enum(READ_VARIANTS) }),
  z.object({
    kind: z.literal('split'),
    inside: z.enum(READ_VARIANTS),
    outside: z.enum(READ_VARIANTS),
    share: z.number(),
    canary: z.array(z.string()),
    salt: z.string(),
  }),
])

/** What instances are told. */
export const configSchema = z
  .object({
    id: z.string(),
    epoch: z.int(),
    phase: z.enum(PHASES),
    write: z.enum(WRITE_VARIANTS),
    read: readRule,
    backfill: z.boolean(),
    fenced: z.boolean(),
    guarded: z.array(path),
    shadow: z.object({ sample: z.number(), concurrency: z.int(), timeout: z.int() }),
    alias: z.string().optional(),
  })
  .meta({ id: 'MigrationConfig' })

const limitSet = z.number().nullable().optional()

const stateSchema = z
  .object({
    phase: z.enum(PHASES),
    epoch: z.int(),
    since: time,
    from: z.enum(PHASES).optional(),
    rollout: z.object({ step: z.int(), share: z.number(), canary: z.array(z.string()) }),
    overrides: z.object({ read: z.enum(READ_VARIANTS).optional(), write: z.enum(WRITE_VARIANTS).optional() }),
    paused: z.boolean(),
    backfillOn: z.boolean(),
    throttle: z
      .object({
        rowsPerSecond: limitSet,
        replicationLag: limitSet,
        longTransaction: limitSet,
        lockWaits: limitSet,
        autovacuum: z.boolean().nullable().optional(),
        walRate: limitSet,
        latencyP99: limitSet,
        latencyFactor: limitSet,
      })
      .optional()
      .describe('Limits set over those of the definition; times in ms, amounts in bytes'),
    latch: z.object({ at: time, reason: z.string(), incident: z.string().optional() }).optional(),
    work: z
      .object({
        kind: workKind,
        epoch: z.int(),
        status: z.enum(['pending', 'running', 'done', 'failed']),
        error: z.string().optional(),
        committing: z.boolean().optional(),
        anytime: z.boolean().optional().describe('A person has passed over windows, freezes and load'),
      })
      .optional(),
    complete: z.object({ old: z.boolean(), new: z.boolean() }),
    pending: z.object({ to: z.enum(PHASES), reason: z.string(), by: z.string(), since: time }).optional(),
    approvals: z.array(
      z.object({
        by: z.string(),
        person: z.string().optional().describe('Who that is, where it is known'),
        at: time,
      }),
    ),
    minimum: z.int().describe('Epochs below this can write no more'),
    run: z.object({ epoch: z.int(), at: time }),
  })
  .meta({ id: 'MigrationState' })

export const fleetSchema = z
  .object({
    instances: z.int(),
    live: z.int(),
    applied: z.int().describe('Live instances that have applied the present epoch'),
    drained: z.int().describe('Live instances with nothing of an older epoch in flight'),
    lapsed: z.array(z.string()).describe('Ids of instances whose lease has ended without a goodbye'),
  })
  .meta({ id: 'FleetSummary' })

export const migrationSchema = z
  .object({
    id: z.string(),
    title: z.string(),
    revision: z.int(),
    checksum: z.string(),
    definition: z
      .record(z.string(), z.unknown())
      .describe('The definition as parsed: durations in ms, shares 0 to 1'),
    state: stateSchema,
    config: configSchema,
    meaning: z.string().describe('What the application does now'),
    compared: z
      .boolean()
      .describe(
        'Whether it has been compared with its target since the store was started or restored; until then all of it may be out of date, and nothing is changed that takes an epoch',
      ),
  })
  .meta({ id: 'Migration' })

export const incidentSchema = z
  .object({
    id: z.string(),
    migration: z.string(),
    status: z.enum(['open', 'resolved']),
    kind: z
      .enum(['revert', 'refused'])
      .describe('refused: an automatic revert that was not safe; a person has to see to it'),
    title: z.string(),
    cause: z.object({
      kind: z.enum(['manual', 'alert', 'tripwire', 'verification']),
      reason: z.string(),
      by: z.string(),
      incident: z.string().optional(),
      path: path.optional(),
      operation: z.enum(['read', 'write']).optional(),
    }),
    from: z.object({ phase: z.enum(PHASES), epoch: z.int() }),
    to: z.object({ phase: z.enum(PHASES), epoch: z.int() }),
    alertedAt: time.optional(),
    openedAt: time,
    committedAt: time.optional(),
    firstAckAt: time.optional(),
    lastAckAt: time.optional(),
    resolvedAt: time.optional(),
    ackedAt: time.optional().describe('When somebody said to see to it'),
    ackedBy: z.string().optional(),
    beganAt: time.optional().describe('When what caused it began, where that is known'),
    verification: z
      .object({
        outcome: z.enum(['verified', 'failed', 'inconclusive']),
        at: time,
        findings: z.array(
          z.object({
            name: z.string(),
            outcome: z.enum(['verified', 'failed', 'inconclusive']),
            message: z.string(),
          }),
        ),
      })
      .optional()
      .describe('Whether the revert has helped; missing until that is known'),
    alertToCommitMs: z.number().optional(),
    alertToLastAckMs: z.number().optional(),
  })
  .meta({ id: 'Incident' })
