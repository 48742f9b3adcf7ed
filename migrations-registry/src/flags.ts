import { z } from 'zod'
import { migrationIdSchema } from './definition.ts'
import type { Phase } from './phases.ts'
import { atLeast, PHASES } from './phases.ts'
import type { ReadRule } from './routing.ts'
import { READ_ROUTES, readVariantFor } from './routing.ts'
import { BUCKETS, bucketOf } from './sticky.ts'
import { percentSchema } from './units.ts'
import type { MigrationConfig } from './wire.ts'

const value = z.union([z.boolean(), z.string(), z.number(), z.record(z.string(), z.json())])

const ruleSchema = z.strictObject({
  when: z
    .strictObject({
      attribute: z.string().min(1),
      in: z.array(z.union([z.string(), z.number(), z.boolean()])).min(1),
    })
    .optional(),
  // A number as well: a flag that was read is sent on as it was parsed, to instances, and back by consoles.
  share: z
    .union([percentSchema, z.number().min(0).max(1)], {
      error: 'expected a percentage such as "10%", or a number from 0 to 1',
    })
    .optional()
    .describe('Sticky share of targeting keys'),
  variant: z.string(),
})

/** An ordinary flag, defined beside migrations. */
export const flagSchema = z
  .strictObject({
    key: z
      .string()
      .regex(/^[a-z][a-z0-9._-]*$/i, 'expected letters, digits, dots, dashes')
      .max(100),
    description: z.string().max(1000).default(''),
    enabled: z.boolean().default(true),
    variants: z.record(z.string().min(1), value).default({ on: true, off: false }),
    defaultVariant: z.string().default('on'),
    offVariant: z.string().default('off').describe('Served where disabled or the schema is not there'),
    rules: z.array(ruleSchema).max(100).default([]),
    requires: z
      .strictObject({ migration: migrationIdSchema, phase: z.enum(PHASES) })
      .optional()
      .describe('On only from this phase on; off by itself when the migration goes back'),
  })
  .superRefine((flag, context) => {
    const used = [
      ['defaultVariant', flag.defaultVariant],
      ['offVariant', flag.offVariant],
      ...flag.rules.map((rule, i) => [`rules.${i}.variant`, rule.variant] as const),
    ] as const
    for (const [path, variant] of used) {
      if (variant in flag.variants) continue
      context.addIssue({
        code: 'custom',
        path: path.split('.'),
        message: `no variant "${variant}"; there are ${Object.keys(flag.variants).join(', ')}`,
      })
    }
  })

export type FlagDefinition = z.output<typeof flagSchema>
export type FlagValue = z.output<typeof value>

export interface EvaluationContext {
  readonly targetingKey?: string
  readonly [attribute: string]: unknown
}

/** Result of an evaluation in the words of OpenFeature. Evaluating never throws. */
export interface Evaluation {
  readonly key: string
  readonly value?: FlagValue
  readonly variant?: string
  readonly reason: 'STATIC' | 'TARGETING_MATCH' | 'SPLIT' | 'DISABLED' | 'ERROR'
  readonly errorCode?: 'FLAG_NOT_FOUND' | 'TARGETING_KEY_MISSING' | 'GENERAL'
  readonly errorMessage?: string
  readonly metadata?: Readonly<Record<string, string | number | boolean>>
}

/** Where the migrations that flags depend on stand. */
export interface FlagWorld {
  readonly flag: (key: string) => FlagDefinition | undefined
  readonly migration: (id: string) => MigrationConfig | undefined
  readonly aliased: (alias: string) => MigrationConfig | undefined
  /** Id of the instance that asks, for canaries. */
  readonly instance: string
}

/** Evaluates any key: an ordinary flag, `<migration>.read|write|backfill`, or a migration's alias. */
export function evaluateFlag(key: string, context: EvaluationContext, world: FlagWorld): Evaluation {
  const flag = world.flag(key)
  if (flag !== undefined) return evaluateOrdinary(flag, context, world)
  const aliased = world.aliased(key)
  if (aliased !== undefined) return evaluateRead(key, aliased, context, world, true)
  const dot = key.lastIndexOf('.')
  const migration = dot < 0 ? undefined : world.migration(key.slice(0, dot))
  const kind = key.slice(dot + 1)
  if (migration !== undefined) {
    const metadata = {
      migration: migration.id,
      epoch: migration.epoch,
      phase: migration.phase,
    }
    if (kind === 'read') return evaluateRead(key, migration, context, world, false)
    if (kind === 'write')
      return {
        key,
        value: migration.write,
        variant: migration.write,
        reason: 'STATIC',
        metadata,
      }
    if (kind === 'backfill') {
      return {
        key,
        value: migration.backfill,
        variant: migration.backfill ? 'on' : 'off',
        reason: 'STATIC',
        metadata,
      }
    }
  }
  return {
    key,
    reason: 'ERROR',
    errorCode: 'FLAG_NOT_FOUND',
    errorMessage: `There is no flag "${key}".`,
  }
}

function evaluateRead(
  key: string,
  migration: MigrationConfig,
  context: EvaluationContext,
  world: FlagWorld,
  alias: boolean,
): Evaluation {
  const rule: ReadRule = migration.read
  const metadata = {
    migration: migration.id,
    epoch: migration.epoch,
    phase: migration.phase,
  }
  const { targetingKey } = context
  const needsKey = rule.kind === 'split' && rule.share > 0 && rule.share < 1
  if (needsKey && targetingKey === undefined) {
    return {
      key,
      reason: 'ERROR',
      errorCode: 'TARGETING_KEY_MISSING',
      errorMessage: 'A share is decided by targetingKey.',
      metadata,
    }
  }
  const variant = readVariantFor(rule, targetingKey ?? '', world.instance)
  const reason = rule.kind === 'split' ? 'SPLIT' : 'STATIC'
  const isNew = READ_ROUTES[variant].served === 'new'
  if (alias)
    return {
      key,
      value: isNew,
      variant: isNew ? 'on' : 'off',
      reason,
      metadata,
    }
  return { key, value: variant, variant, reason, metadata }
}

function evaluateOrdinary(flag: FlagDefinition, context: EvaluationContext, world: FlagWorld): Evaluation {
  const { key, requires } = flag
  const give = (variant: string, reason: Evaluation['reason']): Evaluation => {
    const found = flag.variants[variant]
    return found === undefined
      ? {
          key,
          reason: 'ERROR',
          errorCode: 'GENERAL',
          errorMessage: `No variant "${variant}".`,
        }
      : { key, value: found, variant, reason }
  }
  if (!flag.enabled) return give(flag.offVariant, 'DISABLED')
  if (requires !== undefined && !schemaIsThere(world.migration(requires.migration)?.phase, requires.phase)) {
    return give(flag.offVariant, 'DISABLED')
  }
  for (const rule of flag.rules) {
    if (rule.when !== undefined) {
      const actual = context[rule.when.attribute]
      if (!rule.when.in.some((allowed) => allowed === actual)) continue
    }
    if (rule.share === undefined) return give(rule.variant, 'TARGETING_MATCH')
    if (context.targetingKey === undefined) {
      return {
        key,
        reason: 'ERROR',
        errorCode: 'TARGETING_KEY_MISSING',
        errorMessage: 'A share is decided by targetingKey.',
      }
    }
    if (bucketOf(key, context.targetingKey) < rule.share * BUCKETS) return give(rule.variant, 'SPLIT')
  }
  return give(flag.defaultVariant, flag.rules.length === 0 ? 'STATIC' : 'TARGETING_MATCH')
}

const schemaIsThere = (phase: Phase | undefined, needed: Phase): boolean =>
  phase !== undefined && atLeast(phase, needed)
