import { createHash } from 'node:crypto'
import type { Signal } from '@switchback/migrations-registry'
import { z } from 'zod'
import { Unreadable } from './receiver.ts'

const MAX_LABELS = 64
const MAX_NAME = 200
const MAX_VALUE = 1000

/** Text as any system sends it: numbers and booleans too. */
export const text = z.union([z.string(), z.number(), z.boolean()]).transform(String)

const UNSTORABLE = /\0|\p{Surrogate}/gu

/** Text that the store can hold: no NUL, no half of a surrogate pair, and not without end. */
export const clean = (given: string, max = MAX_VALUE): string =>
  given.slice(0, max).replace(UNSTORABLE, '\u{fffd}')

interface Alerted {
  readonly source: string
  /** What tells this delivery from others of the same source. */
  readonly key: string
  readonly status: Signal['status']
  readonly name: string | undefined
  readonly labels: Readonly<Record<string, string>>
  /** ISO 8601 or Unix milliseconds. */
  readonly startedAt: string | number | undefined
  readonly receivedAt: number
  readonly summary?: string | undefined
  readonly link?: string | undefined
  readonly measured?: Signal['measured'] | undefined
}

/**
 * The signal of an alert. The labels `migration`, `epoch`, `path` and `operation` say what it is about. A beginning
 * that is missing, or lies in the future, is the time of receipt.
 */
export function signalFrom(alerted: Alerted): Signal {
  const { source, status, receivedAt, summary, measured } = alerted
  const pairs = Object.entries(alerted.labels).slice(0, MAX_LABELS)
  const labels = Object.fromEntries(
    pairs.map(([label, value]) => [clean(label, MAX_NAME), clean(value)] as const),
  )
  const label = (name: string) => (Object.hasOwn(labels, name) ? labels[name] : undefined)
  const migration = label('migration')
  const path = label('path')
  const operation = label('operation')
  const epoch = /^\d{1,15}$/.test(label('epoch') ?? '') ? Number(label('epoch')) : undefined
  const link = URL.canParse(alerted.link ?? '') ? alerted.link : undefined
  return {
    source,
    dedupKey: alerted.key.length > MAX_NAME ? digestOf(alerted.key) : clean(alerted.key),
    status,
    name: clean(alerted.name ?? '', MAX_NAME) || 'alert',
    labels,
    startedAt: beginning(alerted.startedAt, receivedAt),
    receivedAt,
    ...(summary === undefined || summary === '' ? {} : { summary: clean(summary) }),
    ...(link === undefined || !/^https?:/.test(link) ? {} : { link: clean(link, 2000) }),
    ...(migration === undefined || migration === '' ? {} : { migration }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(path === 'old' || path === 'new' ? { path } : {}),
    ...(operation === 'read' || operation === 'write' ? { operation } : {}),
    ...(measured === undefined ? {} : { measured }),
  }
}

function beginning(given: string | number | undefined, receivedAt: number): number {
  const at = typeof given === 'string' ? Date.parse(given) : (given ?? Number.NaN)
  if (!Number.isFinite(at) || at < 0) return receivedAt
  return Math.min(at, receivedAt)
}

export const digestOf = (content: string | Buffer): string =>
  createHash('sha256').update(content).digest('hex').slice(0, 40)

/** `migration=user-profiles epoch=7` anywhere in a text, for systems whose alerts carry no labels. */
export function labelsInText(...texts: readonly (string | undefined)[]): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const given of texts) {
    for (const [, name, value] of (given ?? '')
      .slice(0, 10_000)
      .matchAll(/\b(migration|epoch|path|operation)[=:]\s?"?([\w-]{1,100})/g)) {
      if (name !== undefined && value !== undefined) found[name] ??= value
    }
  }
  return found
}

/** The body as JSON of this shape. @throws Unreadable with what is wrong and where, in words for the sender */
export function readJson<Schema extends z.ZodType>(raw: Buffer | string, schema: Schema): z.output<Schema> {
  let value: unknown
  try {
    value = JSON.parse(typeof raw === 'string' ? raw : new TextDecoder('utf-8', { fatal: true }).decode(raw))
  } catch (cause) {
    throw new Unreadable('the body is not valid JSON', { cause })
  }
  return readValue(value, schema)
}

export function readValue<Schema extends z.ZodType>(value: unknown, schema: Schema): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const places = result.error.issues
    .slice(0, 5)
    .map(({ path, message }) => `${path.map(String).join('.') || 'the body'}: ${message}`)
  throw new Unreadable(clean(places.join('; ')))
}
