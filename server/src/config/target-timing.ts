import { freezeSchema, loadSchema, type Timing, windowSchema } from '@switchback/migrations-registry'
import { z } from 'zod'

interface Problem {
  readonly name: string
  readonly message: string
}

const VARIABLE = /^TARGET_([A-Z][A-Z0-9_]*)_(WINDOWS|FREEZES|LOAD)$/

const parts = (text: string, by: RegExp): readonly string[] =>
  text
    .split(by)
    .map((part) => part.trim())
    .filter((part) => part !== '')

/** `connections=80, tps=500` as an object. */
const limits = (text: string): Record<string, unknown> =>
  Object.fromEntries(
    parts(text, /,/).map((part) => {
      const [name = '', value = ''] = part.split('=').map((side) => side.trim())
      return [name, name !== 'transactionAge' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value]
    }),
  )

/** Windows, freezes and limits of load by target, from `TARGET_<NAME>_WINDOWS`, `_FREEZES` and `_LOAD`. */
export function parseTiming(env: Readonly<Record<string, string>>): {
  readonly timing: Record<string, Timing>
  readonly problems: readonly Problem[]
} {
  const timing: Record<string, Timing> = {}
  const problems: Problem[] = []
  for (const [name, text] of Object.entries(env)) {
    const [, target, what] = VARIABLE.exec(name) ?? []
    if (target === undefined) continue
    const id = target.toLowerCase().replaceAll('_', '-')
    const known: Timing = timing[id] ?? { windows: [], freezes: [], load: {} }
    const take = <T>(schema: z.ZodType<T>, value: unknown, set: (parsed: T) => Timing): void => {
      const parsed = schema.safeParse(value)
      if (parsed.success) timing[id] = set(parsed.data)
      else problems.push({ name, message: parsed.error.issues[0]?.message ?? 'not valid' })
    }
    if (what === 'WINDOWS')
      take(z.array(windowSchema), parts(text, /;/), (windows) => ({ ...known, windows }))
    else if (what === 'FREEZES')
      take(z.array(freezeSchema), parts(text, /;/), (freezes) => ({ ...known, freezes }))
    else take(loadSchema, limits(text), (load) => ({ ...known, load }))
  }
  return { timing, problems }
}
