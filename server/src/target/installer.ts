import { fenceOf, type InstalledPart, targetSchema } from './sql-files.ts'
import { inTransaction, type Sql, type Target } from './target.ts'

/** Whether every part is here in its present text. One look, no locks: prepare is called before any work. */
async function isInstalled(on: Sql, parts: readonly InstalledPart[]): Promise<boolean> {
  const there = await on.query<{ there: boolean }>(
    `select to_regclass('switchback.installed') is not null as there`,
  )
  if (there.rows[0]?.there !== true) return false
  const { rows } = await on.query<{ part: string; checksum: string }>(
    'select part, checksum from switchback.installed where part = any($1)',
    [parts.map(({ name }) => name)],
  )
  const installed = new Map(rows.map(({ part, checksum }) => [part, checksum]))
  return parts.every(({ name, checksum }) => installed.get(name) === checksum)
}

/** Installs the schema `switchback`, and the fence of a migration where one is named. Repeatable, also by several
 *  at a time. */
export async function install(
  target: Pick<Target, 'query' | 'connection'>,
  migration?: string,
): Promise<void> {
  const parts = [targetSchema(), ...(migration === undefined ? [] : [fenceOf(migration)])]
  if (await isInstalled(target, parts)) return
  await target.connection((connection) =>
    inTransaction(connection, 'begin', async () => {
      // `if not exists` and `create or replace` fail when two run them at once: hence one at a time.
      await connection.query(`select pg_advisory_xact_lock(hashtext('switchback install'), 0)`)
      if (await isInstalled(connection, parts)) return
      for (const { name, sql, checksum } of parts) {
        await connection.client.query(sql)
        await connection.query(
          `insert into switchback.installed (part, checksum) values ($1, $2)
           on conflict (part) do update set checksum = excluded.checksum`,
          [name, checksum],
        )
      }
    }),
  )
}
