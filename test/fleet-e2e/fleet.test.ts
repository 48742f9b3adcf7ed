import { afterEach, expect, test } from 'vitest'
import type { Blocker, MigrationView } from '../demo/api.ts'
import { waitFor } from '../support/index.ts'
import { type FleetWorld, ID, openFleetWorld } from './fleet-world.ts'

// What a hung process may cost; nothing is measured by it.
const TIMEOUT = 120_000

const LEASE = 3_000
/** Where the gate has to be seen naming an instance that has stopped, and has not lapsed yet. */
const LONG_LEASE = 8_000

let world: FleetWorld | undefined
afterEach(() => world?.close())

const open = async (fence: boolean, leaseMs: number): Promise<FleetWorld> => {
  world = await openFleetWorld({ fence, leaseMs })
  return world
}
/** Whether a blocker of this code says this of whom it is about. */
const names = (blockers: readonly Blocker[], code: string, subject: string): boolean =>
  blockers.some((blocker) => blocker.code === code && blocker.message.includes(subject))
const gateNames =
  (code: string, subject: string) =>
  ({ gate }: MigrationView): boolean =>
    names(gate.blockers, code, subject)
const workDone =
  (kind: string) =>
  ({ state }: MigrationView): boolean =>
    state.work?.kind === kind && state.work.status === 'done'

const noteOf = async ({ target }: FleetWorld, key: number): Promise<unknown> => {
  const { rows } = await target.pool.query(
    `select u.note as old, n.note as new from public.users u left join public.notes n on n.user_id = u.id
     where u.id = $1`,
    [key],
  )
  return rows[0]
}

test(
  'with the fence a stopped instance is fenced off, and its late write is refused and tried again by itself',
  async () => {
    const fleet = await open(true, LONG_LEASE)
    const [a, , c] = fleet.instances
    await fleet.advanceTo('dual-write')
    await fleet.drained('a', 'b', 'c')
    // It holds no transaction: its epoch is chosen, its BEGIN is not sent yet.
    await c.writeAndHold(1, 'late', 'begin')
    c.freeze()

    await fleet.advanceTo('backfill')
    await fleet.until('the gate to name c', gateNames('instance-not-drained', 'c has not applied'))
    await fleet.until('the backfill without c', workDone('backfill'))
    expect(await fleet.instance('c')).toMatchObject({ live: false })
    expect(await a.write(1, 'meanwhile')).toMatchObject({ refusals: [] })
    await fleet.advanceTo('shadow')
    await fleet.advanceTo('ramp', 1)

    // A stale reader: the fence stops its writes and not its reads. It serves old without asking for repairs, so
    // old must go on leading.
    const stale = gateNames('instance-incompatible', 'may still serve reads')
    await fleet.drained('a', 'b')
    await fleet.until('the gate to name the reader', stale)
    expect(names(await fleet.tryAdvance(), 'instance-incompatible', 'c has not been heard of')).toBe(true)

    // The registry is durable: a server that comes back knows who is out there.
    await fleet.restartServer()
    expect(await fleet.instance('c')).toMatchObject({ id: 'c', live: false })
    expect(await fleet.tryAdvance()).not.toEqual([])
    await fleet.until('the gate to name the reader again', stale)

    c.thaw()
    // The connection was lost with the server; how soon it is made again is not what is tried here.
    await waitFor(async () => (await fleet.instance('c'))?.live, { what: 'c to be back' })
    const late = await c.go()
    expect(late).toEqual({ type: 'written', refusals: ['SB001'] })
    expect(await noteOf(fleet, 1)).toEqual({ old: 'late', new: 'late' })
    await fleet.advanceTo('promoted')
    await fleet.advanceTo('retired')
    expect(await c.write(1, 'retired')).toMatchObject({ refusals: [] })
    expect(await noteOf(fleet, 1)).toEqual({ old: 'late', new: 'retired' })
  },
  TIMEOUT,
)

test(
  'a stopped instance with an open transaction holds up the fence, by name, until the transaction ends',
  async () => {
    const fleet = await open(true, LEASE)
    const [a, , c] = fleet.instances
    await fleet.advanceTo('shadow')
    await fleet.until('verification', workDone('verify'))
    await fleet.drained('a', 'b', 'c')
    await c.writeAndHold(2, 'half done', 'second-statement')
    c.freeze()

    await fleet.advanceTo('ramp', 0)
    await fleet.drained('a', 'b')
    await waitFor(async () => (await fleet.instance('c'))?.live === false, { what: 'the lease to lapse' })
    const { rows } = await fleet.target.pool.query<{ pid: number }>(
      `select pid from pg_stat_activity where application_name = 'c' and state = 'idle in transaction'`,
    )
    const pid = rows[0]?.pid ?? 0
    expect(pid).toBeGreaterThan(0)
    const held = await waitFor(
      async () => {
        const blockers = await fleet.tryAdvance()
        return blockers.some(({ code }) => code === 'fence-held') ? blockers : undefined
      },
      { what: 'the fence to be held' },
    )
    expect(names(held, 'fence-held', `backend ${pid} (c)`)).toBe(true)
    // Writers of the present epoch do not wait for it.
    expect(await a.write(3, 'meanwhile')).toEqual({ type: 'written', refusals: [] })
    expect((await fleet.api.migration(ID)).state.rollout.step).toBe(0)

    await fleet.target.pool.query('select pg_terminate_backend($1)', [pid])
    await fleet.advanceTo('ramp', 1)
    c.thaw()
    // Its transaction is gone, whole. As the loss shows, the caller hears of it, or the write begins anew.
    const ended = await c.go()
    const note = ended.error === undefined ? 'half done' : 'first'
    expect(await noteOf(fleet, 2)).toEqual({ old: note, new: note })
    expect(await c.write(2, 'again')).not.toHaveProperty('error')
    expect(await noteOf(fleet, 2)).toEqual({ old: 'again', new: 'again' })
  },
  TIMEOUT,
)

test(
  'without the fence the gate stays closed and names the instance, until it is back or forgotten',
  async () => {
    const fleet = await open(false, LEASE)
    const [, b, c] = fleet.instances
    await fleet.advanceTo('dual-write')
    await fleet.drained('a', 'b', 'c')
    c.freeze()
    await fleet.until('the gate to name c', gateNames('instance-lapsed', 'c has not'))
    expect(names(await fleet.tryAdvance(), 'instance-lapsed', 'nothing stops its writes')).toBe(true)
    await fleet.restartServer()
    await fleet.until('the gate to name c again', gateNames('instance-lapsed', 'c has not'))
    expect((await fleet.api.migration(ID)).state.phase).toBe('dual-write')
    c.thaw()
    await fleet.advanceTo('backfill')
    await fleet.until('the backfill', workDone('backfill'))

    b.freeze()
    await fleet.until('the gate to name b', gateNames('instance-lapsed', 'b has not'))
    await fleet.api.call('DELETE', '/v1/instances/b', { reason: 'its host is gone' })
    await fleet.advanceTo('ramp', 0)
    expect(await fleet.instance('b')).toBeUndefined()
  },
  TIMEOUT,
)
