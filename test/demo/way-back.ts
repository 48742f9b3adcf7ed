import { setTimeout as sleep } from 'node:timers/promises'
import { ID, type Journey } from './journey.ts'
import type { Screen } from './screen.ts'
import type { Stage } from './setup.ts'

const WRITES = 100

/**
 * From `retired`, where old is written no more, back to `dual-write`, where old is served, under traffic: the
 * reverse backfill brings old up first. Then forward again, which copies from old: what was lost on the way back
 * would be missing from new in the end, and every read that is too old is counted meanwhile.
 */
export async function goBackAndForth(stage: Stage, journey: Journey, screen: Screen): Promise<void> {
  const { api } = stage
  await traffic(stage)
  const revert = async (reason: string) => {
    await api.call('POST', `/v1/migrations/${ID}/revert`, { reason })
  }
  await revert('new is wanted no more')
  journey.arrived(await api.migration(ID))
  await journey.workDone('reverse-backfill')
  await traffic(stage)
  await revert('and old is wanted again')
  journey.arrived(await api.migration(ID))
  await traffic(stage)
  screen.line(
    'served from old again, which holds every write that was acknowledged since it had been retired',
  )
  await api.call('POST', `/v1/migrations/${ID}/rearm`, { reason: 'forward after all' })
  await journey.advanceTo('backfill')
  await journey.workDone('backfill')
  await journey.advanceTo('shadow')
  await journey.workDone('verify')
  for (const step of [0, 1, 2, 3]) await journey.advanceTo('ramp', step)
  await journey.advanceTo('promoted')
}

/** Waits until the instances have been told of some more writes. */
async function traffic({ apps }: Stage): Promise<void> {
  const written = () => apps.reduce((sum, { summary }) => sum + (summary?.writesAcknowledged ?? 0), 0)
  const before = written()
  while (written() < before + WRITES) await sleep(50)
}
