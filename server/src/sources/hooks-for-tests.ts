import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestStore, testStore } from '@switchback/test/support'
import { expect } from 'vitest'
import { type TestApi, testApi } from '../http/test-api.ts'
import type { SourceKind } from '../receivers/receivers.ts'
import { sns, type TestDelivery, TOPIC } from './deliveries-for-tests.ts'

interface Answer {
  readonly status: number
  // What an answer says is looked at piece by piece; each piece is expected where it is used.
  readonly body: ReturnType<typeof JSON.parse>
}

/** A server that alerting systems deliver to, with what is asked of it around the deliveries. */
export interface HooksWorld {
  readonly store: TestStore
  readonly api: TestApi
  readonly url: string
  /** Addresses of SNS that the server has asked. */
  readonly asked: string[]
  call(method: string, path: string, body?: unknown): Promise<Answer>
  /** Registers a source; answers with its name and secret. */
  source(kind: SourceKind, more?: object): Promise<{ name: string; secret: string }>
  post(name: string, delivery: TestDelivery): Promise<Answer>
  /** What has been decided about the alerts that an answer has accepted. */
  outcomes(answer: { body: { accepted: { id: string }[] } }): Promise<Answer['body'][]>
  stop(): Promise<void>
}

/** Secrets of systems that make their own. */
export const GIVEN: Partial<Record<SourceKind, string>> = {
  sentry: 'a-secret-that-sentry-made',
  pagerduty: 'a-secret-that-pagerduty-made',
}

/** @param isAway whether SNS does not answer at an address */
export async function hooksWorld(isAway: (address: URL) => boolean = () => false): Promise<HooksWorld> {
  const asked: string[] = []
  const store = await testStore()
  const api = testApi(store.db, {
    askSns: async (address) => {
      asked.push(address.href)
      if (isAway(address)) throw new Error('SNS does not answer')
      return sns.certificate
    },
  })
  const server = createServer(api.app).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const admin = await api.token('admin')
  let count = 0

  const call: HooksWorld['call'] = async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  return {
    store,
    api,
    url,
    asked,
    call,
    source: async (kind, more = {}) => {
      const name = `${kind}-${++count}`
      const given = GIVEN[kind] === undefined ? {} : { secret: GIVEN[kind] }
      const topics = kind === 'cloudwatch' ? { topics: [TOPIC] } : {}
      const { status, body } = await call('POST', '/v1/alert-sources', {
        name,
        kind,
        ...given,
        ...topics,
        ...more,
      })
      expect(status).toBe(201)
      return { name, secret: body.secret ?? GIVEN[kind] ?? '' }
    },
    post: async (name, { body, headers }) => {
      const response = await fetch(`${url}/v1/hooks/${name}`, { method: 'POST', headers, body })
      return { status: response.status, body: await response.json() }
    },
    outcomes: async ({ body }) => {
      await api.inbox.process()
      return await Promise.all(
        body.accepted.map(async ({ id }) => (await call('GET', `/v1/alerts/${id}`)).body),
      )
    },
    stop: async () => {
      await new Promise((resolve) => server.close(resolve))
      await api.stop()
      await store.drop()
    },
  }
}
