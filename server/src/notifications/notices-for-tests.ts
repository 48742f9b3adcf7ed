import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestStore, testStore } from '@switchback/test/support'
import request from 'supertest'
import { expect } from 'vitest'
import { type TestApi, testApi } from '../http/test-api.ts'

interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: ReturnType<typeof JSON.parse>
}

/** A server with channels, and the other side of those channels. */
export interface NoticesWorld {
  readonly store: TestStore
  readonly api: TestApi
  /** Address of what receives notices. */
  readonly base: string
  readonly received: Received[]
  /** What is answered at a path instead of 200. */
  readonly answers: Map<string, { status: number; headers?: Record<string, string> }>
  /** Called at the end. */
  readonly close: (() => Promise<unknown>)[]
  call(method: 'get' | 'post' | 'delete', path: string, body?: object): Promise<request.Response>
  channel(name: string, kind: string, more?: object): Promise<ReturnType<typeof JSON.parse>>
  /** Reverts a migration by hand; the incident that it opens. */
  revert(id: string): Promise<string>
  /** What has arrived at a path. */
  at(path: string): readonly Received[]
  stop(): Promise<void>
}

export async function noticesWorld(): Promise<NoticesWorld> {
  const store = await testStore()
  const api = testApi(store.db)
  const admin = await api.token('admin')
  const received: Received[] = []
  const answers: NoticesWorld['answers'] = new Map()
  const close: (() => Promise<unknown>)[] = []
  const server = createServer(async (incoming, response) => {
    const parts: Buffer[] = []
    for await (const part of incoming) parts.push(part as Buffer)
    const text = Buffer.concat(parts).toString('utf8')
    const path = incoming.url ?? ''
    received.push({ path, headers: incoming.headers, text, body: JSON.parse(text) })
    const { status, headers } = answers.get(path) ?? { status: 200 }
    response.writeHead(status, headers).end('ok')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  close.push(() => new Promise((resolve) => server.close(resolve)))

  const call: NoticesWorld['call'] = async (method, path, body) =>
    await request(api.app)[method](path).set('Authorization', `Bearer ${admin}`).send(body)

  return {
    store,
    api,
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answers,
    close,
    call,
    channel: async (name, kind, more = {}) => {
      const answer = await call('post', '/v1/channels', { name, kind, ...more })
      expect([answer.status, answer.body.detail]).toEqual([201, undefined])
      return answer.body
    },
    revert: async (id) => {
      const command = { type: 'revert', cause: { kind: 'manual', reason: 'empty <bios>' } } as const
      const result = await api.phases.command(id, command, { name: 'ann' })
      if (!result.ok) throw new Error(result.refusal.message)
      return result.migration.state.latch?.incident ?? ''
    },
    at: (path) => received.filter((each) => each.path === path),
    stop: async () => {
      await api.stop()
      for (const each of close) await each()
      await store.drop()
    },
  }
}

/** Lines of a definition that name whom to call. */
export const owner = (...contacts: string[]) =>
  `owner: { team: riders, contacts: ${JSON.stringify(contacts)}, escalateAfter: 5m }\n`
