import { createHash } from 'node:crypto'
import type { RegisterInput } from './phase-service.ts'

/** Checksum of a definition with its SQL: what is the same is not registered twice. */
export const checksumOf = ({ source, sql }: RegisterInput): string =>
  createHash('sha256')
    .update(JSON.stringify([source, sql.expand, sql.rollback ?? null, sql.contract ?? null]))
    .digest('hex')
