import { defineBackfillStep, type StepKey, type StepValues } from '@switchback/migrations-registry'
import { Redis } from 'ioredis'

const PREFIX = 'session:'
const PAGE = 1_000

let connected: Redis | undefined
const redis = (): Redis => {
  connected ??= new Redis(process.env.SESSIONS_REDIS_URL ?? 'redis://127.0.0.1:6379', {
    maxRetriesPerRequest: 2,
  })
  return connected
}

const nameOf = ([id = '']: StepKey): string => `${PREFIX}${id}`

export default defineBackfillStep({
  // SET says what is there, not what changes: twice is the same as once.
  write: async (rows) => {
    if (rows.length > 0)
      await redis().mset(...rows.flatMap(({ key, values }) => [nameOf(key), JSON.stringify(values)]))
  },
  read: async (keys) => {
    const found = await redis().mget(...keys.map(nameOf))
    return found.map((text) => (text === null ? undefined : (JSON.parse(text) as StepValues)))
  },
  remove: async (keys) => {
    await redis().del(...keys.map(nameOf))
  },
  keys: async (after = '0') => {
    const [next, names] = await redis().scan(after, 'MATCH', `${PREFIX}*`, 'COUNT', PAGE)
    return { keys: names.map((name) => [name.slice(PREFIX.length)]), ...(next === '0' ? {} : { next }) }
  },
  close: async () => {
    await connected?.quit()
    connected = undefined
  },
})
