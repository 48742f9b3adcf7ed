import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { connect } from '@switchback/sdk'
import { testDatabase, waitFor } from '@switchback/test/support'
import { afterEach, describe, expect, it } from 'vitest'
import { advanceTo, exampleMigration, type Service, startService, tokenOf } from '../e2e/service.ts'
import { monitoringBinaries, startAlertmanager, startPrometheus } from './monitoring.ts'

const binaries = await monitoringBinaries()
const cleanup: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

async function listen(
  handle: (request: IncomingMessage, body: string) => Promise<[number, string]>,
): Promise<string> {
  const server: Server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += String(part)
    const [status, text] = await handle(request, body).catch(() => [502, ''] as const)
    response.writeHead(status).end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanup.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A server whose example stands at ramp, with instances; tripwires listen to alerts alone. */
async function rampedService(environment: Record<string, string>, instances: readonly string[]) {
  const store = await testDatabase()
  cleanup.push(() => store.drop())
  const target = await testDatabase()
  cleanup.push(() => target.drop())
  await target.pool.query(
    `create table users (id uuid primary key, email text, bio text, preferences jsonb not null default '{}',
       created_at timestamptz not null default now())`,
  )
  await target.pool.query(`insert into users (id) select gen_random_uuid() from generate_series(1, 50)`)
  const service = await startService({ DATABASE_URL: store.url, TARGET_MAIN_URL: target.url, ...environment })
  cleanup.push(() => service.process.kill('SIGTERM'))
  const example = await exampleMigration()
  const only = 'tripwires:\n  - { watch: alert, match: { alertname: NewPathErrorRate }, do: revert }\n'
  const yaml = example.yaml
    .replace(/tripwires:\n(?: {2}.*\n)+/, only)
    .replace(/rollout:[^\n]*\n(?: {2}.*\n)+/, 'rollout: [{ share: 50% }, { share: 100% }]\n')
  const registered = await service.call<{ detail?: string }>('POST', '/v1/migrations', { ...example, yaml })
  expect([registered.status, registered.body.detail]).toEqual([201, undefined])
  const token = await tokenOf(service, 'sdk')
  const failing = { new: false }
  const clients = await Promise.all(
    instances.map(async (instance) => {
      const client = await connect({ url: service.url, token, app: 'rides-api', version: '1', instance })
      cleanup.push(() => client.close())
      const handler = async (key: string) => key
      const profiles = client.migration('user-profiles', {
        key: (key: string) => key,
        read: {
          old: handler,
          new: async (key: string) => {
            if (failing.new) throw new Error('relation "user_profiles" is not what it was')
            return key
          },
        },
        write: { old: handler, new: handler },
      })
      await client.ready()
      return { client, profiles }
    }),
  )
  await advanceTo(service, 'ramp')
  return { service, clients, failing }
}

interface View {
  readonly state: { readonly phase: string; readonly epoch: number }
}
interface Incident {
  readonly id: string
  readonly beganAt: number
  readonly alertedAt: number
  readonly committedAt: number
  readonly lastAckAt?: number
  readonly timeline: readonly { readonly at: number; readonly kind: string }[]
}
const stateOf = async (service: Service) =>
  (await service.call<View>('GET', '/v1/migrations/user-profiles')).body.state
const incidentsOf = async (service: Service) =>
  (await service.call<{ incidents: readonly Incident[] }>('GET', '/v1/incidents')).body.incidents

async function sourceOf(service: Service): Promise<string> {
  const source = { name: 'am', kind: 'alertmanager', migrations: ['user-profiles'] }
  return (await service.call<{ secret: string }>('POST', '/v1/alert-sources', source)).body.secret
}

describe.skipIf(binaries === undefined)('a real Prometheus and a real Alertmanager', () => {
  it('see new fail, and cause one revert: also when answered 503 at first, repeated, and resolved', async () => {
    if (binaries === undefined) return
    const { service, clients, failing } = await rampedService({}, ['i-1', 'i-2', 'i-3'])
    const ramp = await stateOf(service)
    const secret = await sourceOf(service)

    // Between Alertmanager and the server: at first overloaded, then a way through that keeps count.
    const seen: { status: string; answer: number }[] = []
    const gate = await listen(async (request, body) => {
      const { status } = JSON.parse(body) as { status: string }
      if (seen.length < 2) {
        seen.push({ status, answer: 503 })
        return [503, '']
      }
      const headers = {
        'content-type': 'application/json',
        authorization: request.headers.authorization ?? '',
      }
      const response = await fetch(`${service.url}/v1/hooks/am`, { method: 'POST', headers, body })
      seen.push({ status, answer: response.status })
      return [response.status, await response.text()]
    })
    const metrics = await listen(async ({ url }) => {
      const found = clients.find(({ client }) => url === `/${client.instance}`)
      return found === undefined ? [404, ''] : [200, found.client.metrics()]
    })
    const alertmanager = await startAlertmanager(binaries.alertmanager, `http://${gate}/`, secret)
    cleanup.push(() => alertmanager.stop())
    const paths = clients.map(({ client }) => `/${client.instance}`)
    const prometheus = await startPrometheus(binaries.prometheus, metrics, paths, alertmanager.url)
    cleanup.push(() => prometheus.stop())

    let running = true
    const traffic = Promise.all(
      clients.map(async ({ profiles }) => {
        for (let n = 0; running; n++) {
          await profiles.read(`u${n % 50}`).catch(() => undefined)
          await pause(5)
        }
      }),
    )
    cleanup.push(async () => {
      running = false
      await traffic
    })
    failing.new = true
    const failedAt = Date.now()

    const incident = await waitFor(
      async () => {
        const [found] = await incidentsOf(service)
        return found?.lastAckAt === undefined ? undefined : found
      },
      { what: 'the revert to reach every instance', timeoutMs: 45_000 },
    )
    await waitFor(() => seen.some(({ status, answer }) => status === 'resolved' && answer === 202), {
      what: 'Alertmanager to tell that it is over',
      timeoutMs: 45_000,
    })
    expect(seen.slice(0, 2).map(({ answer }) => answer)).toEqual([503, 503])
    expect(seen.filter(({ status, answer }) => status === 'firing' && answer === 202).length).toBeGreaterThan(
      1,
    )
    expect(await incidentsOf(service)).toHaveLength(1)
    expect(await stateOf(service)).toMatchObject({ phase: 'dual-write', epoch: ramp.epoch + 1 })

    const { body } = await service.call<Incident>('GET', `/v1/incidents/${incident.id}`)
    const kinds = body.timeline.map(({ kind }) => kind)
    const stages = ['first-bad-sample', 'alert-received', 'decided', 'reverted', 'last-ack']
    expect(stages.filter((kind) => kinds.includes(kind))).toEqual(stages)
    const report = await fetch(`${service.url}/v1/incidents/${incident.id}/report`, {
      headers: { authorization: `Bearer ${await tokenOf(service, 'viewer')}` },
    })
    const text = await report.text()
    expect(text).toMatch(/the last instance had switched \(time to rollback\) \| \d/)
    expect(text).toContain('alertname')
    const stage = (name: string, from: number, to: number | undefined) =>
      `${name} ${to === undefined ? 'never' : to - from} ms`
    process.stdout.write(
      `first failure to alert's beginning ${body.beganAt - failedAt} ms; ${stage('to receipt', body.beganAt, body.alertedAt)}; ${stage('to commit', body.alertedAt, body.committedAt)}; ${stage('to last ack', body.committedAt, incident.lastAckAt)}\n`,
    )
  })

  it('are asked for alerts whose delivery never came', async () => {
    if (binaries === undefined) return
    const lost = await listen(async () => [404, ''])
    const alertmanager = await startAlertmanager(binaries.alertmanager, `http://${lost}/`, 'no token')
    cleanup.push(() => alertmanager.stop())
    const { service } = await rampedService(
      { ALERTMANAGER_URL: alertmanager.url, ALERTMANAGER_LOOK_MS: '1000' },
      ['i-1'],
    )
    const labels = { alertname: 'NewPathErrorRate', migration: 'user-profiles' }
    const posted = await fetch(`${alertmanager.url}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ labels, startsAt: new Date().toISOString() }]),
    })
    expect(posted.status).toBe(200)
    await waitFor(async () => (await stateOf(service)).phase === 'dual-write', { what: 'the revert' })
    expect(await incidentsOf(service)).toHaveLength(1)
  })
})
