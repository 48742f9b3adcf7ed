import type { Queryable } from '../db/db.ts'
import { connectRedisNews, type NewsLog, type RedisNews } from './redis-news.ts'
import type { Revisions } from './revisions.ts'

export interface RevisionsOptions {
  readonly db: Queryable
  readonly log: NewsLog
  readonly redisUrl?: string
  /** Redis channel; stores that share a Redis should have their own, though nothing breaks if not. */
  readonly channel?: string
  /** Milliseconds between two looks at the store; default 250 without Redis and 2,000 while it listens. */
  readonly pollMs?: number
}

/**
 * Finds out that the store has reached a revision: at once where the change was made in this process, by
 * Redis where there is one, and always by asking the store as well. News from Redis only cause a look: what
 * counts is what the store says.
 *
 * @returns once the present revision is known
 */
export async function createRevisions(options: RevisionsOptions): Promise<Revisions> {
  const { db, log } = options
  const listeners = new Set<(revision: number) => void>()
  let current = await readRevision(db)
  let stopped = false
  let failing = false
  let timer: NodeJS.Timeout | undefined
  let looking: Promise<void> | undefined
  let lookAgain = false

  function reached(revision: number): void {
    if (revision <= current || stopped) return
    current = revision
    for (const listener of listeners) {
      try {
        listener(revision)
      } catch (error) {
        log.warn({ err: error }, 'a listener to revisions has failed')
      }
    }
  }

  async function look(): Promise<void> {
    do {
      lookAgain = false
      try {
        reached(await readRevision(db))
        if (failing) log.info({}, 'the store answers again')
        failing = false
      } catch (error) {
        if (!failing && !stopped) log.warn({ err: error }, 'the store cannot be asked for its revision')
        failing = true
      }
    } while (lookAgain && !stopped)
  }

  /** Looks now; a look that is under way may have come too early, so it is followed by another. */
  function lookNow(): void {
    if (looking !== undefined) {
      lookAgain = true
      return
    }
    clearTimeout(timer)
    looking = look().finally(() => {
      looking = undefined
      if (!stopped) timer = setTimeout(lookNow, interval())
    })
  }

  const interval = (): number => options.pollMs ?? (redis?.listening === true ? 2_000 : 250)
  const redis: RedisNews | undefined =
    options.redisUrl === undefined
      ? undefined
      : connectRedisNews({
          url: options.redisUrl,
          channel: options.channel ?? 'switchback:revision',
          log,
          onNews: (revision) => {
            if (revision > current) lookNow()
          },
          // What was told before it listened, nobody tells again.
          onLink: lookNow,
        })
  timer = setTimeout(lookNow, interval())

  return {
    get current() {
      return current
    },
    announce(revision) {
      redis?.publish(revision)
      reached(revision)
    },
    onRevision(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      redis?.stop()
      await looking
      clearTimeout(timer)
      listeners.clear()
    },
  }
}

async function readRevision(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ revision: number }>('select revision from head')
  const revision = rows[0]?.revision
  if (revision === undefined) throw new Error('the store has no head row')
  return Number(revision)
}
