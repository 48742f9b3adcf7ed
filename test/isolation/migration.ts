import {
  defaultConfig,
  definitionSchema,
  type MigrationConfig,
  type ReadVariant,
  type WriteVariant,
} from '@switchback/migrations-registry'

export const MIGRATION = 'isolation'

export const definition = definitionSchema.parse({
  id: MIGRATION,
  title: 'Hot keys move to another table',
  copy: {
    from: 'old_rows',
    to: 'new_rows',
    key: { row_id: 'id' },
    columns: { v: 'v' },
    chunk: { min: 1, max: 1 },
  },
})

/** What instances are told at one epoch. */
export const configOf = (
  epoch: number,
  write: WriteVariant,
  read: ReadVariant = 'old',
  more: Partial<MigrationConfig> = {},
): MigrationConfig => ({
  ...defaultConfig(MIGRATION),
  epoch,
  phase: 'dual-write',
  write,
  read: { kind: 'fixed', variant: read },
  fenced: true,
  ...more,
})
