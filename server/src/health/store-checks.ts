import type { Db } from '../db/db.ts'
import type { Check } from './health.ts'

/** The checks of the store: whether it answers, and whether it has the schema. */
export const storeChecks = (db: Db): Readonly<Record<'store' | 'schema', Check>> => ({
  store: async () => {
    await db.query('select 1')
  },
  schema: async () => {
    const { rows } = await db.query(`select to_regclass('schema_migrations') as found`)
    if (rows[0]?.found === null) throw new Error('the store has no schema yet')
  },
})
