import type { Config } from '../config/config.ts'
import type { Queryable } from '../db/db.ts'
import { inspectStore } from '../db/migrate.ts'
import { StoreError } from '../db/store-error.ts'
import { STORE_MIGRATIONS, STORE_SCHEMA } from '../db/store-schema.ts'
import { locateBinaries } from '../postgres/binaries.ts'
import { type Check, type Checks, checksOf, faultText } from './check.ts'
import { type DatabaseLook, lookAtDatabase } from './check-database.ts'

/** As many as the pool of a server holds. */
const CONNECTIONS = 20
const is = checksOf('store')

/** Whether a server could open its store. */
export async function checkStore({ databaseUrl }: Config, clock: () => number): Promise<DatabaseLook> {
  if (databaseUrl === undefined) return { checks: [bundled()], skewMs: undefined }
  const options = { variable: 'DATABASE_URL', connections: CONNECTIONS, clock }
  return lookAtDatabase(is, databaseUrl, options, async (on) => [await schemaCheck(is, on)])
}

/** The bundled one is started by the server alone: two that start it would be in each other's way. */
function bundled(): Check {
  try {
    locateBinaries({ kind: 'self' })
    return is.ok('reachable', 'a bundled PostgreSQL, which the server starts in its data folder')
  } catch (error) {
    return is.fail(
      'reachable',
      `there is no bundled PostgreSQL: ${faultText(error)}`,
      'Install with optional dependencies, or set DATABASE_URL.',
    )
  }
}

async function schemaCheck(of: Checks, on: Queryable): Promise<Check> {
  try {
    const { version, open } = await inspectStore(on, STORE_MIGRATIONS)
    if (open.length === 0) return of.ok('schema', `at version ${version}, which this server needs`)
    const { rows } = await on.query<{ may: boolean }>(
      `select case when to_regnamespace($1) is null then has_database_privilege(current_database(), 'create')
                   else has_schema_privilege($1, 'create') end as may`,
      [STORE_SCHEMA],
    )
    const todo =
      version === 0 ? 'a server makes it at its start' : `a server adds ${open.join(', ')} at its start`
    if (rows[0]?.may === true)
      return of.ok('schema', version === 0 ? `none yet; ${todo}` : `at version ${version}; ${todo}`)
    return of.fail(
      'schema',
      `${todo}, but this role may not create there`,
      `Grant it: grant create on ${version === 0 ? 'database …' : `schema ${STORE_SCHEMA}`} to the role of DATABASE_URL.`,
    )
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    return of.fail('schema', error.message, 'Start the version of the server that the store belongs to.')
  }
}
