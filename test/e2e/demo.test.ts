import { fileURLToPath } from 'node:url'
import { spawnNode } from '@switchback/test/support'
import { expect, it } from 'vitest'

const DEMO = fileURLToPath(new URL('../dist/demo/main.js', import.meta.url))

it('the main job, with fewer rows and a server killed in the middle of the backfill and the way back from retired, loses nothing', async () => {
  const demo = spawnNode([DEMO, '--rows', '20000', '--json', '--kill-server', '--way-back'])
  const { code } = await demo.exited
  const last = demo.stdout().trim().split('\n').at(-1) ?? ''
  expect(code, demo.output().slice(-3000)).toBe(0)
  const result = JSON.parse(last) as Record<string, unknown>
  expect(result).toMatchObject({
    ok: true,
    instances: 3,
    writesLost: 0,
    staleReads: 0,
    divergences: 0,
    unexpectedErrors: 0,
  })
  expect(Number(result.rows)).toBeGreaterThanOrEqual(20_000)
  expect(Number(result.writesAcknowledged)).toBeGreaterThan(100)
  expect(Number(result.injectedErrors)).toBeGreaterThan(0)
  expect((result.phases as { phase: string }[]).map(({ phase }) => phase)).toEqual([
    ...['planned', 'expanded', 'dual-write', 'backfill', 'shadow', 'ramp canary', 'ramp 10%', 'ramp 50%'],
    ...['dual-write', 'backfill', 'shadow', 'ramp canary', 'ramp 10%', 'ramp 50%', 'ramp 100%'],
    ...['promoted', 'retired', 'promoted', 'dual-write', 'backfill', 'shadow', 'ramp canary', 'ramp 10%'],
    ...['ramp 50%', 'ramp 100%', 'promoted', 'retired', 'contracted'],
  ])
}, 170_000)
