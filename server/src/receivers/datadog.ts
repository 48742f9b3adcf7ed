import { z } from 'zod'
import type { Receiver } from './receiver.ts'
import { readJson, signalFrom, text } from './signal-from.ts'

/** The template of docs/alerts.md, as Datadog fills it in: every value is text. */
const schema = z.looseObject({
  id: text,
  cycle: text.default(''),
  transition: text,
  title: text.optional(),
  tags: text.default(''),
  date: text.optional(),
  link: z.string().optional().catch(undefined),
})

const FIRING = new Set(['triggered', 're-triggered', 'renotify'])
const RESOLVED = new Set(['recovered'])

export const datadog: Receiver = {
  proof: 'bearer',
  read: ({ raw, receivedAt }) => {
    const { id, cycle, transition, title, tags, date, link } = readJson(raw, schema)
    const kind = transition.trim().toLowerCase()
    const status = FIRING.has(kind) ? 'firing' : RESOLVED.has(kind) ? 'resolved' : undefined
    // A warning is no breach, and "no data" proves nothing.
    if (status === undefined)
      return { signals: [], ignored: `the transition "${transition.slice(0, 50)}" asks for nothing` }
    const at = Number(date)
    return {
      signals: [
        signalFrom({
          source: 'datadog',
          key: `${id}:${cycle}:${kind}`,
          status,
          name: title,
          labels: labelsOf(tags),
          startedAt: Number.isFinite(at) && at > 0 ? at : undefined,
          receivedAt,
          summary: title,
          link,
        }),
      ],
    }
  },
}

/** `migration:user-profiles,env:prod` as labels; a tag without a value is a label that is true. */
function labelsOf(tags: string): Readonly<Record<string, string>> {
  const pairs = tags
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '')
    .map((tag) => {
      const colon = tag.indexOf(':')
      return colon < 0 ? ([tag, 'true'] as const) : ([tag.slice(0, colon), tag.slice(colon + 1)] as const)
    })
  return Object.fromEntries(pairs)
}
