import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The key of the secrets: from the environment, or made once and kept in the data folder, for this user alone. */
export async function loadSecretKey(dataDir: string, given: string | undefined): Promise<Buffer> {
  if (given !== undefined) return Buffer.from(given, 'utf8')
  const file = join(dataDir, 'secret-key')
  const existing = await readFile(file).catch(() => undefined)
  if (existing !== undefined && existing.length >= 32) return existing
  await mkdir(dataDir, { recursive: true })
  const own = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  await writeFile(own, randomBytes(32), { mode: 0o600 })
  try {
    // Whole or not at all, and never over the key of a server that was quicker.
    await link(own, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(own, { force: true })
  }
  return await readFile(file)
}
