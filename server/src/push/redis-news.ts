import { Redis } from 'ioredis'

export interface NewsLog {
  info(detail: object, message: string): void
  warn(detail: object, message: string): void
}

/** Carries between servers that a revision exists. Nothing is lost with it: the store is asked anyway. */
export interface RedisNews {
  /** Whether news would arrive at this moment. */
  readonly listening: boolean
  publish(revision: number): void
  stop(): void
}

export interface RedisNewsOptions {
  readonly url: string
  readonly channel: string
  readonly log: NewsLog
  /** A hint and no more: another store may share the Redis, so the number is not to be believed. */
  readonly onNews: (revision: number) => void
  /** Called when news arrive (again) or have stopped arriving. */
  readonly onLink: (listening: boolean) => void
}

const MAX_RETRY_MS = 2_000

export function connectRedisNews(options: RedisNewsOptions): RedisNews {
  const { channel, log } = options
  let listening = false
  let stopped = false
  const connect = (): Redis => {
    const redis = new Redis(options.url, {
      // Commands fail at once while Redis is away: old news are worth nothing.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResubscribe: false,
      lazyConnect: true,
      retryStrategy: (times) =>
        Math.min(50 * 2 ** Math.min(times, 10), MAX_RETRY_MS) * (0.5 + Math.random() / 2),
    })
    // Errors of the connection belong to no command; the link is told of once, by its state.
    redis.on('error', () => undefined)
    redis.connect().catch(() => undefined)
    return redis
  }

  function setListening(now: boolean): void {
    if (stopped || listening === now) return
    listening = now
    if (now) log.info({}, 'Redis carries the news of changes')
    else log.warn({}, 'Redis is away; changes made elsewhere are found by asking the store')
    options.onLink(now)
  }

  const publisher = connect()
  const subscriber = connect()
  subscriber.on('ready', () => {
    subscriber.subscribe(channel).then(
      () => setListening(true),
      () => setListening(false),
    )
  })
  subscriber.on('close', () => setListening(false))
  subscriber.on('message', (_channel: string, message: string) => {
    const revision = Number(message)
    if (Number.isSafeInteger(revision)) options.onNews(revision)
  })

  return {
    get listening() {
      return listening
    },
    publish(revision) {
      publisher.publish(channel, String(revision)).catch(() => undefined)
    },
    stop() {
      stopped = true
      publisher.disconnect()
      subscriber.disconnect()
    },
  }
}
