import { type TestStore, waitFor } from '@switchback/test/support'
import { describe, expect, it } from 'vitest'
import { createDb } from '../db/db.ts'
import { STORE_SCHEMA } from '../db/store-schema.ts'
import { createFleet } from '../fleet/fleet.ts'
import { createIncidents } from '../incidents/incidents.ts'
import type { Remembered } from './compare.ts'
import { COMPARED, lifeOfStore, noteCompared } from './comparison-store.ts'
import { createPhaseService } from './create-phase-service.ts'
import { createPhaseStore } from './create-phase-store.ts'
import type { Command } from './phase-service.ts'
import {
  ANN,
  at,
  cleanup,
  copyOfStore,
  definition,
  ID,
  log,
  refusalOf,
  type Server,
  serverOn,
  sql,
  stateOf,
  useStores,
} from './put-back-for-tests.ts'

useStores()

/** A migration that a server has compared, which is gone by now. */
async function comparedOnce(): Promise<void> {
  const server = serverOn(at.store.url)
  await server.phases.register({ definition, sql, source: '' }, ANN)
  await server.firstLook()
  await server.stop()
}

async function rowOf(): Promise<{ readonly revision: number; readonly compared: boolean }> {
  const { rows } = await at.store.db.query<{ revision: number; compared: boolean }>(
    `select revision, ${COMPARED} as compared from migrations`,
  )
  const row = rows[0]
  if (row === undefined) throw new Error('nothing is registered')
  return row
}

describe('what was noted of a comparison is void', () => {
  const goings: readonly [string, (on: TestStore['db']) => Promise<unknown>][] = [
    [
      'after a dump has been read back into the same database',
      (on) =>
        on.query(`create temporary table kept as select * from comparisons;
          delete from comparisons; insert into comparisons select * from kept`),
    ],
    [
      'after the table of migrations alone has been put back',
      (on) => on.query('update migrations set revision = revision - 1'),
    ],
    ['after a crash or a failover, which leave nothing of it', (on) => on.query('truncate comparisons')],
    [
      'in another life of the store',
      (on) => on.query(`update comparisons set life = 'another', written = pg_current_xact_id()`),
    ],
  ]
  /** A server on a store that has gone back, whose target does not answer. */
  async function goneBack(goBack: (on: TestStore['db']) => Promise<unknown>): Promise<Server> {
    await comparedOnce()
    at.proxy.cut()
    expect((await rowOf()).compared).toBe(true)
    const one = createDb({ url: at.store.url, name: 'test', schema: STORE_SCHEMA, max: 1 })
    await goBack(one)
    await one.end()
    return serverOn(at.store.url)
  }

  it.each(goings)('%s', async (_, goBack) => {
    const server = await goneBack(goBack)
    expect(await stateOf(server)).toMatchObject({ compared: false })
    expect(await refusalOf(server, { type: 'advance' })).toBe('target-not-compared')
    // What is taken all the same gives the migration another revision, and proves nothing.
    expect(await refusalOf(server, { type: 'pause' })).toBe('done')
    expect(await stateOf(server)).toMatchObject({ compared: false })
  })

  it.each(goings)('%s, and noted anew as soon as the target has answered', async (_, goBack) => {
    const server = await goneBack(goBack)
    at.proxy.heal()
    expect(await refusalOf(server, { type: 'advance' })).toBe('done')
    expect(await stateOf(server)).toMatchObject({ compared: true })
  })

  it('and a server that runs on compares anew by itself', async () => {
    await comparedOnce()
    const server = serverOn(at.store.url)
    await server.firstLook()
    await at.store.db.query('truncate comparisons')
    await waitFor(async () => (await stateOf(server)).compared, { what: 'the next look of the engine' })
  })

  it('in a copy of the files, also where its server was never stopped', async () => {
    await comparedOnce()
    const url = await copyOfStore()
    at.proxy.cut()
    expect(await stateOf(serverOn(url))).toMatchObject({ compared: false })
  })

  it('where store or migration were another while the target was being asked', async () => {
    await comparedOnce()
    await at.store.db.query('truncate comparisons')
    const { revision } = await rowOf()
    const life = await lifeOfStore(at.store.db)
    for (const [lived, noted, compared] of [
      ['a life that has ended', revision, false],
      [life, revision - 1, false],
      [life, revision + 1, false],
      [life, revision, true],
    ] as const) {
      await noteCompared(at.store.db, lived, ID, noted)
      expect([noted, (await rowOf()).compared]).toEqual([noted, compared])
    }
  })

  it('and what is noted is of the revision that the migration has until the note is there', async () => {
    await comparedOnce()
    const { revision } = await rowOf()
    const life = await lifeOfStore(at.store.db)
    const noting = await at.store.db.tx(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>(
        'select pg_backend_pid() as pid from comparisons for update',
      )
      const noted = noteCompared(at.store.db, life, ID, revision)
      // Asked outside of the transaction, in which the answer would never change.
      await waitFor(
        async () => {
          const waiting = await at.store.db.query(
            'select from pg_stat_activity where $1 = any(pg_blocking_pids(pid))',
            [rows[0]?.pid],
          )
          return waiting.rows.length > 0
        },
        { what: 'a note that waits for another one' },
      )
      const change = await at.store.db.query('select from migrations for no key update nowait').then(
        () => 'could be made',
        ({ code }: { code: string }) => code,
      )
      return { noted, change }
    })
    await noting.noted
    expect(noting.change).toBe('55P03')
  })

  it('and a target is asked nothing more and told nothing where the note is gone when the change is about to be made', async () => {
    await comparedOnce()
    const { db } = at.store
    const fleet = createFleet({ db, clock: Date.now, server: 'test', log })
    cleanup.push(() => fleet.stop())
    const real = createPhaseStore(db, fleet, createIncidents({ db, clock: Date.now, fleet }))
    let goesBack = true
    const asked: string[] = []
    const tell = <Answer>(name: string, answer: Answer) => {
      asked.push(name)
      return Promise.resolve(answer)
    }
    const phases = createPhaseService({
      store: {
        ...real,
        tx: async (work) => {
          if (goesBack) await db.query('truncate comparisons')
          return real.tx(work)
        },
      },
      clock: Date.now,
      newId: (prefix) => prefix,
      target: {
        remember: () => tell<Remembered>('remember', { answered: false }),
        repairs: () => tell('repairs', { old: 0, new: 0 }),
        failedRows: () => tell('failedRows', 0),
        passFence: () => tell('passFence', []),
      },
      announce: () => {},
    })
    const rearm: Command = { type: 'rearm', reason: 'mended' }
    expect(await phases.command(ID, rearm, ANN)).toMatchObject({ refusal: { code: 'target-not-compared' } })
    expect(asked).toEqual(['remember'])
    goesBack = false
    expect(await phases.command(ID, { type: 'advance' }, ANN)).toMatchObject({
      refusal: { code: 'target-not-compared' },
    })
    // Neither for repairs nor for its fence.
    expect(asked).toEqual(['remember'])
  })
})
