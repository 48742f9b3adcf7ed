import type { Measurement } from '@switchback/migrations-registry'
import { Redis } from 'ioredis'
import type { Chunk } from './telemetry-store.ts'

/** Carries chunks between servers at once. Nothing is lost with it: they are written to the store as well. */
export interface QuickTelemetry {
  publish(server: string, chunk: Chunk): void
  stop(): void
}

const CHANNEL = 'switchback:telemetry'
const MAX_RETRY_MS = 2_000

export function connectRedisTelemetry(
  url: string,
  onChunk: (server: string, chunk: Chunk) => void,
): QuickTelemetry {
  const connect = (): Redis => {
    const redis = new Redis(url, {
      // What cannot be sent now comes by way of the store.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResubscribe: false,
      lazyConnect: true,
      retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), MAX_RETRY_MS),
    })
    redis.on('error', () => undefined)
    redis.connect().catch(() => undefined)
    return redis
  }
  const publisher = connect()
  const subscriber = connect()
  subscriber.on('ready', () => {
    subscriber.subscribe(CHANNEL).catch(() => undefined)
  })
  subscriber.on('message', (_channel: string, message: string) => {
    const parsed = parse(message)
    if (parsed !== undefined) onChunk(parsed.server, parsed.chunk)
  })
  return {
    publish: (server, chunk) => {
      publisher.publish(CHANNEL, JSON.stringify({ server, chunk })).catch(() => undefined)
    },
    stop: () => {
      publisher.disconnect()
      subscriber.disconnect()
    },
  }
}

/** Another program may publish on the channel: what is not of this shape is passed over. */
function parse(message: string): { readonly server: string; readonly chunk: Chunk } | undefined {
  try {
    const { server, chunk } = JSON.parse(message) as { server?: unknown; chunk?: Partial<Chunk> }
    if (typeof server !== 'string' || typeof chunk?.seq !== 'number' || typeof chunk.at !== 'number') return
    if (!Array.isArray(chunk.measurements)) return
    const measurements = chunk.measurements as readonly Measurement[]
    return { server, chunk: { seq: chunk.seq, at: chunk.at, measurements } }
  } catch {
    return undefined
  }
}
