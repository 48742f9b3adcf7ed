import { testDatabase } from '@switchback/test/support'
import { expect, test } from 'vitest'
import { killed, killsOf, undisturbed } from './kill-executor.ts'

// The long form: SWITCHBACK_KILLS=50 npx vitest run test/ddl-kill
const KILLS = Number(process.env.SWITCHBACK_KILLS ?? 4)
const SEED = Number(process.env.SWITCHBACK_SEED ?? 20261122)

test(`an executor that is killed ${KILLS} times ends where an undisturbed one does`, {
  timeout: 120_000 + KILLS * 15_000,
}, async () => {
  const calm = await testDatabase()
  try {
    const expected = await undisturbed(calm.url)
    let hits = 0
    for (const kills of rounds(killsOf(KILLS, SEED))) {
      const database = await testDatabase()
      try {
        const result = await killed(database.url, kills)
        expect(result.state).toEqual(expected)
        hits += result.hits
      } finally {
        await database.drop()
      }
    }
    expect(hits).toBeGreaterThan(KILLS / 2)
  } finally {
    await calm.drop()
  }
})

/** One run meets each statement once at most: kills are dealt out to runs in the order of statements. */
function rounds<T extends { readonly statement: number }>(kills: readonly T[]): readonly (readonly T[])[] {
  const result: T[][] = [[]]
  for (const kill of kills) {
    const last = result.at(-1)?.at(-1)
    if (last !== undefined && kill.statement <= last.statement) result.push([])
    result.at(-1)?.push(kill)
  }
  return result
}
