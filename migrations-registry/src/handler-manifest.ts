import { z } from 'zod'
import { migrationIdSchema } from './definition.ts'

const path = z.enum(['old', 'new'])
const paths = z
  .array(path)
  .max(2)
  .refine((list) => new Set(list).size === list.length, 'names a path twice')
const name = z.string().min(1).max(200)

const OPERATIONS = ['read', 'write', 'remove'] as const

const entrySchema = z
  .strictObject({
    handlers: paths.describe('Paths that every operation has a handler for'),
    fenced: z.boolean().default(true).describe('Whether every write goes through the fence'),
    read: paths.optional().describe('Paths that reads have a handler for, where they are told apart'),
    write: paths.optional(),
    remove: paths.optional(),
  })
  .superRefine((entry, context) => {
    for (const operation of OPERATIONS) {
      const has = entry[operation]
      const missing = has === undefined ? [] : entry.handlers.filter((one) => !has.includes(one))
      if (missing.length === 0) continue
      context.addIssue({
        code: 'custom',
        path: [operation],
        message: `has no handler for ${missing.join(' and ')}, which "handlers" claims for every operation`,
      })
    }
  })

export const handlersByMigrationSchema = z
  .record(migrationIdSchema, entrySchema)
  .refine((all) => Object.keys(all).length <= 1000, 'at most 1000 migrations')

/**
 * What a version of an application can do, as `describeHandlers` of the SDK writes it and `can-i-deploy` reads
 * it. A migration that is not in it is not declared by that version.
 */
export const handlerManifestSchema = z.strictObject({
  app: name.optional(),
  version: name.optional(),
  migrations: handlersByMigrationSchema,
})
export type HandlerManifest = z.output<typeof handlerManifestSchema>
