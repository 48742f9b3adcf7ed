import { testDatabase } from '@switchback/test/support'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COPY_SCRIPTS, HORIZON_SCRIPTS } from './copy-scripts.ts'
import { FILL_SCRIPTS } from './fill-scripts.ts'
import { INSERT_SCRIPTS } from './insert-scripts.ts'
import { FENCE_SCRIPTS, LOCK_SCRIPTS, REPAIR_SCRIPTS } from './lock-scripts.ts'
import { RACE_SCRIPTS, ROW_SCRIPTS } from './row-scripts.ts'
import { runOnModel } from './run-on-model.ts'
import { type PostgresRunner, postgresRunner } from './run-on-postgres.ts'
import { SAVEPOINT_SCRIPTS } from './savepoint-scripts.ts'
import type { Outcome, Script } from './script.ts'
import { SERIALIZABLE_SCRIPTS } from './serializable-scripts.ts'

let database: Awaited<ReturnType<typeof testDatabase>>
let postgres: PostgresRunner

beforeAll(async () => {
  database = await testDatabase()
  postgres = await postgresRunner(database.url)
})
afterAll(async () => {
  await postgres?.end()
  await database?.drop()
})

const ALL: Readonly<Record<string, readonly Script[]>> = {
  rows: ROW_SCRIPTS,
  inserts: INSERT_SCRIPTS,
  savepoints: SAVEPOINT_SCRIPTS,
  'advisory locks': LOCK_SCRIPTS,
  fence: FENCE_SCRIPTS,
  repairs: REPAIR_SCRIPTS,
  'copy, sweep, comparison': COPY_SCRIPTS,
  fill: FILL_SCRIPTS,
  serializable: SERIALIZABLE_SCRIPTS,
}

describe('the simulated database does what PostgreSQL does', () => {
  for (const [group, scripts] of Object.entries(ALL)) {
    describe(group, () => {
      test.each(scripts.map((script) => [script.name, script] as const))('%s', async (_name, script) => {
        const real = await postgres.run(script)
        expect(await runOnModel(script)).toEqual(real)
      })
    })
  }

  describe('races', () => {
    test.each(RACE_SCRIPTS.map((script) => [script.name, script] as const))('%s', async (_name, script) => {
      const real = await postgres.run(script)
      const possible: Outcome[] = []
      for (let seed = 1; seed <= 30; seed++) possible.push(await runOnModel(script, seed))
      expect(possible).toContainEqual(real)
    })
  })

  describe('older snapshots', () => {
    test.each(HORIZON_SCRIPTS.map((script) => [script.name, script] as const))(
      '%s',
      async (_name, script) => {
        const model = await runOnModel(script)
        // Transactions of other databases of the server hold snapshots back too: then another look is needed.
        let real: Outcome = []
        for (let look = 0; look < 20 && String(real) !== String(model); look++)
          real = await postgres.run(script)
        expect(model).toEqual(real)
      },
    )
  })
})
