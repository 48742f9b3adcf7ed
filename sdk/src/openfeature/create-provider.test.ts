import { ErrorCode, OpenFeature, ProviderEvents } from '@openfeature/server-sdk'
import { type Evaluation, evaluateFlag, flagSchema } from '@switchback/migrations-registry'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ClientListener } from '../client/client.ts'
import type { Clock } from '../clock.ts'
import { createProvider } from './create-provider.ts'

const FLAGS = [
  { key: 'on' },
  { key: 'size', variants: { s: 10, l: 20 }, defaultVariant: 'l', offVariant: 's' },
  { key: 'title', variants: { a: 'A' }, defaultVariant: 'a', offVariant: 'a' },
  { key: 'shape', variants: { a: { width: 3 } }, defaultVariant: 'a', offVariant: 'a' },
  { key: 'half', rules: [{ share: '50%', variant: 'on' }], defaultVariant: 'off' },
].map((flag) => flagSchema.parse(flag))

/** A client as far as the provider knows one, evaluating with the registry's own code. */
function clientAt(status: { connected: boolean; revision: number }) {
  const listeners = new Set<ClientListener>()
  return {
    listeners,
    status: () => status,
    evaluate: (key: string, context = {}): Evaluation =>
      evaluateFlag(key, context, {
        flag: (name) => (status.revision < 0 ? undefined : FLAGS.find((flag) => flag.key === name)),
        migration: () => undefined,
        aliased: () => undefined,
        instance: 'i',
      }),
    subscribe: (listener: ClientListener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    tell: (connected: boolean) => {
      status.connected = connected
      for (const listener of listeners) listener.connection?.(connected)
    },
  }
}

/** Time passes when the test says so. */
function manualClock() {
  let now = 0
  let tasks: { at: number; task: () => void }[] = []
  const clock: Clock = {
    now: () => now,
    after: (ms, task) => {
      const entry = { at: now + ms, task }
      tasks.push(entry)
      return () => {
        tasks = tasks.filter((other) => other !== entry)
      }
    },
  }
  const pass = (ms: number): void => {
    now += ms
    const due = tasks.filter(({ at }) => at <= now)
    tasks = tasks.filter(({ at }) => at > now)
    for (const { task } of due) task()
  }
  return { clock, pass }
}

const seen: unknown[] = []
const watch = (): void => {
  const names = [
    ProviderEvents.Ready,
    ProviderEvents.Stale,
    ProviderEvents.Error,
    ProviderEvents.ConfigurationChanged,
  ]
  for (const name of names) {
    OpenFeature.addHandler(name, (details) => {
      seen.push(details?.flagsChanged === undefined ? name : [name, details.flagsChanged])
    })
  }
}
beforeEach(() => void seen.splice(0))
afterEach(async () => {
  await OpenFeature.clearProviders()
  OpenFeature.clearHandlers()
})

describe('the OpenFeature provider', () => {
  it('resolves each type, with variant and reason', async () => {
    await OpenFeature.setProviderAndWait(createProvider(clientAt({ connected: true, revision: 1 })))
    const client = OpenFeature.getClient()
    expect(await client.getBooleanDetails('on', false)).toMatchObject({
      value: true,
      variant: 'on',
      reason: 'STATIC',
    })
    expect(await client.getNumberValue('size', 0)).toBe(20)
    expect(await client.getStringValue('title', '')).toBe('A')
    expect(await client.getObjectValue('shape', {})).toEqual({ width: 3 })
    expect(await client.getBooleanDetails('half', false, { targetingKey: 'a' })).toMatchObject({
      reason: expect.stringMatching(/SPLIT|TARGETING_MATCH/),
    })
  })

  it.each([
    ['nowhere', ErrorCode.FLAG_NOT_FOUND],
    ['size', ErrorCode.TYPE_MISMATCH],
    ['shape', ErrorCode.TYPE_MISMATCH],
    ['half', ErrorCode.TARGETING_KEY_MISSING],
  ])('gives the default for %s with %s', async (key, errorCode) => {
    await OpenFeature.setProviderAndWait(createProvider(clientAt({ connected: true, revision: 1 })))
    const details = await OpenFeature.getClient().getBooleanDetails(key, true)
    expect(details).toMatchObject({ value: true, reason: 'ERROR', errorCode })
  })

  it('is stale at once on disconnect, in error only after the grace period, and ready again afterwards', async () => {
    const client = clientAt({ connected: true, revision: 1 })
    const { clock, pass } = manualClock()
    await OpenFeature.setProviderAndWait(createProvider(client, { clock, graceMs: 1_000 }))
    watch()
    seen.splice(0)
    client.tell(false)
    expect(seen).toEqual([ProviderEvents.Stale])
    pass(999)
    expect(seen).toEqual([ProviderEvents.Stale])
    pass(1)
    expect(seen).toEqual([ProviderEvents.Stale, ProviderEvents.Error])
    client.tell(true)
    client.tell(false)
    client.tell(true)
    pass(5_000)
    expect(seen.slice(2)).toEqual([ProviderEvents.Ready, ProviderEvents.Stale, ProviderEvents.Ready])
  })

  it('tells which flags have changed', async () => {
    const client = clientAt({ connected: true, revision: 1 })
    await OpenFeature.setProviderAndWait(createProvider(client))
    watch()
    seen.splice(0)
    for (const listener of client.listeners) listener.changed?.(['m.read', 'on'])
    expect(seen).toEqual([[ProviderEvents.ConfigurationChanged, ['m.read', 'on']]])
  })

  it('is not ready where nothing was ever heard, and stale where it starts with a state from before', async () => {
    const nothing = clientAt({ connected: false, revision: -1 })
    await expect(OpenFeature.setProviderAndWait(createProvider(nothing))).rejects.toThrow('not been reached')
    const { clock, pass } = manualClock()
    watch()
    await OpenFeature.setProviderAndWait(
      createProvider(clientAt({ connected: false, revision: 5 }), { clock }),
    )
    pass(0)
    expect(seen.at(-1)).toBe(ProviderEvents.Stale)
    expect(await OpenFeature.getClient().getBooleanValue('on', false)).toBe(true)
  })

  it('shuts down as often as it is asked, and listens no more', async () => {
    const client = clientAt({ connected: true, revision: 1 })
    const provider = createProvider(client)
    await provider.initialize?.()
    await provider.onClose?.()
    await provider.onClose?.()
    expect(client.listeners.size).toBe(0)
  })
})
