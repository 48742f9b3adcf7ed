import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// The files lie in `src` only: from there and from `dist` alike, this is two folders below the package.
const folder = new URL('../../src/target/sql/', import.meta.url)
const read = (name: string): string => readFileSync(fileURLToPath(new URL(name, folder)), 'utf8')

export interface InstalledPart {
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

const part = (name: string, sql: string): InstalledPart => ({
  name,
  sql,
  checksum: createHash('sha256').update(sql).digest('hex'),
})

/** What every target database holds. */
export const targetSchema = (): InstalledPart => part('schema', read('target-schema.sql'))

/** The fence of one migration. Ids hold lower-case letters, digits and dashes alone: nothing to escape. */
export function fenceOf(migration: string): InstalledPart {
  if (!/^[a-z][a-z0-9-]{0,47}$/.test(migration)) throw new RangeError(`not a migration id: ${migration}`)
  return part(`fence ${migration}`, read('fence.sql').replaceAll(':id', migration))
}
