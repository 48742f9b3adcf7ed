import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from './store-error.ts'

/** One numbered file of the store's own schema. */
export interface MigrationFile {
  readonly number: number
  readonly name: string
  readonly text: string
  readonly checksum: string
  /** Whether a server that does not know this file must not work on a store that has it. */
  readonly breaking: boolean
}

const NAME = /^(\d{3})-[a-z0-9-]+\.sql$/
const HEADER = /^-- breaking: (yes|no)\r?\n/

/** Reads the files in order of their numbers. Throws where one has no number, a number twice, or no header. */
export async function readMigrationFiles(folder: string): Promise<readonly MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  const files: MigrationFile[] = []
  for (const name of names) {
    const number = Number(NAME.exec(name)?.[1] ?? Number.NaN)
    if (Number.isNaN(number)) throw invalid(`${name} in ${folder} is not named like 001-store.sql`)
    if (files.at(-1)?.number === number) throw invalid(`two files in ${folder} have the number ${number}`)
    const text = await readFile(join(folder, name), 'utf8')
    const breaking = HEADER.exec(text)?.[1]
    if (breaking === undefined) throw invalid(`${name} does not begin with "-- breaking: yes" or "no"`)
    // A checkout may rewrite line ends; that is no change of the file.
    const checksum = createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex')
    files.push({ number, name, text, checksum, breaking: breaking === 'yes' })
  }
  return files
}

const invalid = (message: string): StoreError => new StoreError('migration-invalid', message)
