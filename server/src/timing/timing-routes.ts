import {
  freezeSchema,
  isOpen,
  nextOpening,
  parseFreeze,
  parseWindow,
  type Timing,
  windowSchema,
} from '@switchback/migrations-registry'
import { z } from 'zod'
import { recordChange } from '../changes/record-change.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import { authorizeUnscoped } from '../http/authenticate.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Route } from '../http/route.ts'
import { route } from '../http/route.ts'
import { reason, time } from '../http/schemas.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import { inScope } from '../tokens/tokens.ts'
import { listTiming, type SetTiming, saveTiming } from './timing-store.ts'

export interface TimingRoutesDeps {
  readonly db: Db
  readonly clock: Clock
  readonly phases: PhaseService
  /** Windows, freezes and limits of targets as they are configured. */
  readonly timing: Readonly<Record<string, Timing>>
  /** Targets that are configured, whether a migration uses them or not. */
  readonly targetNames: readonly string[]
  readonly announce: (revision: number) => void
}

const from = z.enum(['configuration', 'set']).describe('set: by a person, and can be taken back')

const targetSchema = z
  .object({
    name: z.string(),
    migrations: z.array(z.string()),
    open: z.boolean().describe('Whether work that holds up traffic may begin now'),
    opensAt: time.optional().describe('When it may next, where it may not now and that is known'),
    windows: z.array(z.object({ text: z.string(), from, open: z.boolean() })),
    freezes: z.array(z.object({ text: z.string(), from, begins: time, ends: time, active: z.boolean() })),
    load: z
      .object({
        connections: z.int().optional(),
        transactionAge: z.int().optional().describe('In ms'),
        tps: z.number().optional(),
      })
      .describe('Above any of these nothing is begun'),
    set: z.object({ at: time, by: z.string(), reason: z.string() }).optional(),
  })
  .meta({ id: 'TargetTiming' })

/** When work that holds up traffic may begin, by target. */
export function timingRoutes(deps: TimingRoutesDeps): readonly Route[] {
  const { db, clock, phases, timing, targetNames, announce } = deps

  async function all(visible: (migration: string) => boolean) {
    const set = await listTiming(db)
    const users = new Map<string, string[]>(
      [...targetNames, ...Object.keys(timing)].map((name) => [name, []]),
    )
    for (const { definition } of await phases.list()) {
      const { id, target, copy } = definition
      for (const name of new Set([target, copy?.toTarget ?? target])) {
        if (!users.has(name)) users.set(name, [])
        if (visible(id)) users.get(name)?.push(id)
      }
    }
    return [...users]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, migrations]) => viewOf(name, migrations, timing[name], set.get(name), clock()))
  }

  return [
    route({
      method: 'get',
      path: '/v1/targets',
      tag: 'targets',
      permission: 'read',
      summary: 'Targets, with the windows and freezes of work that holds up traffic',
      response: z.object({ targets: z.array(targetSchema) }),
      handle: async (_input, { principal }) => ({
        body: { targets: await all((migration) => inScope(principal, migration)) },
      }),
    }),
    route({
      method: 'put',
      path: '/v1/targets/{name}/timing',
      tag: 'targets',
      permission: 'administer',
      summary: 'Sets windows and freezes of a target beside those that are configured',
      description: 'Replaces what was set before; what is configured stays. Takes effect at once.',
      params: z.object({ name: z.string().min(1).max(100) }),
      body: z.strictObject({
        windows: z.array(windowSchema).max(50),
        freezes: z.array(freezeSchema).max(50),
        reason,
      }),
      response: targetSchema,
      problems: [404],
      handle: async ({ params: { name }, body }, { principal }) => {
        authorizeUnscoped(principal)
        if (!(await all(() => true)).some((target) => target.name === name)) {
          throw new HttpProblem('unknown-target', `There is no target "${name}".`, {
            action: 'List them with GET /v1/targets.',
          })
        }
        const { windows, freezes, reason: why } = body
        const [at, by] = [clock(), principal.name]
        const revision = await db.tx(async (tx) => {
          await saveTiming(tx, name, { windows, freezes, reason: why, at, by })
          const detail = { windows, freezes, reason: why }
          return await recordChange(tx, { at, actor: by, kind: 'target.timing-set', subject: name, detail })
        })
        announce(revision)
        const [found] = (await all(() => true)).filter((target) => target.name === name)
        if (found === undefined) throw new Error(`the target ${name} vanished`)
        return { body: found }
      },
    }),
  ]
}

function viewOf(
  name: string,
  migrations: readonly string[],
  configured: Timing | undefined,
  set: SetTiming | undefined,
  now: number,
): z.output<typeof targetSchema> {
  const texts = (what: 'windows' | 'freezes') => [
    ...(configured?.[what] ?? []).map((text) => ({ text, from: 'configuration' as const })),
    ...(set?.[what] ?? []).map((text) => ({ text, from: 'set' as const })),
  ]
  const windows = texts('windows').flatMap(({ text, from }) => {
    const window = parseWindow(text)
    return window === undefined ? [] : [{ window, shown: { text, from, open: isOpen(window, now) } }]
  })
  const freezes = texts('freezes').flatMap(({ text, from }) => {
    const freeze = parseFreeze(text)
    if (freeze === undefined) return []
    const { from: begins, to: ends } = freeze
    return [{ text, from, begins, ends, active: begins <= now && now < ends }]
  })
  const free = (at: number) => !freezes.some(({ begins, ends }) => begins <= at && at < ends)
  const open = free(now) && (windows.length === 0 || windows.some(({ shown }) => shown.open))
  const opensAt = open
    ? undefined
    : opening(
        windows.map(({ window }) => window),
        freezes,
        now,
        free,
      )
  return {
    name,
    migrations: [...migrations],
    open,
    ...(opensAt === undefined ? {} : { opensAt }),
    windows: windows.map(({ shown }) => shown),
    freezes,
    load: { ...configured?.load },
    ...(set === undefined ? {} : { set: { at: set.at, by: set.by, reason: set.reason } }),
  }
}

/** Without windows it is open as soon as no freeze is left; within a window too, once its freeze ends. */
function opening(
  windows: Parameters<typeof nextOpening>[0],
  freezes: readonly { readonly ends: number }[],
  now: number,
  free: (at: number) => boolean,
): number | undefined {
  const thaws = freezes
    .map(({ ends }) => ends)
    .filter(
      (at) => at > now && free(at) && (windows.length === 0 || windows.some((window) => isOpen(window, at))),
    )
  const opens = windows.length === 0 ? undefined : nextOpening(windows, now, free)
  const all = [...thaws, ...(opens === undefined ? [] : [opens])]
  return all.length === 0 ? undefined : Math.min(...all)
}
