import { type Binary, debianProgram } from './debian-packages.ts'

/** PostgreSQL's pgbench, installed or Debian's; undefined, loudly, where neither can be had. */
export async function pgbenchBinary(): Promise<Binary | undefined> {
  try {
    return await debianProgram({
      name: 'pgbench',
      packages: ['postgresql-15', 'libpq5'],
      path: 'usr/lib/postgresql/15/bin/pgbench',
    })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(
      `\n!!! SKIPPED: no pgbench on PATH, and Debian's cannot be fetched.\n!!! ${reason}\n\n`,
    )
    return undefined
  }
}
