import { Redis } from 'ioredis'
import type { Config } from '../config/config.ts'
import { type Check, checksOf, faultText } from './check.ts'

const TIMEOUT_MS = 5_000
const CHANNEL = 'switchback doctor'
const is = checksOf('redis')

/** Whether Redis carries news from one connection to another; where none is configured there is nothing to say. */
export async function checkRedis({ redisUrl, secretKey }: Config): Promise<readonly Check[]> {
  if (redisUrl === undefined) return []
  const shared =
    secretKey === undefined
      ? [
          is.warn(
            'secret key',
            'each server of the cluster makes a key of its own, and cannot read what another has encrypted',
            'Set SWITCHBACK_SECRET_KEY to the same text on all of them.',
          ),
        ]
      : []
  return [await carries(redisUrl), ...shared]
}

async function carries(url: string): Promise<Check> {
  const connect = () => {
    const redis = new Redis(url, {
      lazyConnect: true,
      connectTimeout: TIMEOUT_MS,
      commandTimeout: TIMEOUT_MS,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    })
    return redis
  }
  const [publisher, subscriber] = [connect(), connect()]
  let fault: unknown
  for (const redis of [publisher, subscriber]) {
    redis.on('error', (error) => {
      fault ??= error
    })
  }
  const { hostname, port } = new URL(url)
  const place = `${hostname}:${port === '' ? 6379 : port}`
  let timer: NodeJS.Timeout | undefined
  try {
    await Promise.all([publisher.connect(), subscriber.connect()])
    const heard = new Promise<void>((resolve, reject) => {
      subscriber.once('message', () => resolve())
      timer = setTimeout(() => reject(new Error('what was published did not arrive')), TIMEOUT_MS)
    })
    heard.catch(() => undefined)
    await subscriber.subscribe(CHANNEL)
    await publisher.publish(CHANNEL, 'hello')
    await heard
    return is.ok('news', `Redis at ${place} carries news`)
  } catch (error) {
    return is.fail(
      'news',
      `Redis at ${place} carries no news: ${faultText(fault ?? error, url)}`,
      'See REDIS_URL, and that its user may publish and subscribe. Without it servers poll the store: slower, nothing is lost.',
    )
  } finally {
    clearTimeout(timer)
    publisher.disconnect()
    subscriber.disconnect()
  }
}
