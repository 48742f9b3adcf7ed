import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { PHASES, type Phase } from '@switchback/migrations-registry'
import { freePort, type SpawnedProcess, spawnNode, waitFor } from '@switchback/test/support'

// By the name of the package: this file is run as source by tests, and as built by scripts.
const MAIN = join(dirname(createRequire(import.meta.url).resolve('@switchback/server')), 'main.js')
const EXAMPLE = new URL('../../migrations-registry/migrations/2026-11-user-profiles/', import.meta.url)

export const ADMIN = 'sb_admin_for-tests-only-not-a-secret-0000000'

/** A server as a process of its own, as a user runs it. */
export interface Service {
  readonly url: string
  readonly port: number
  readonly process: SpawnedProcess
  call<Result>(
    method: string,
    path: string,
    body?: unknown,
    token?: string,
  ): Promise<{ status: number; body: Result }>
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Starts `switchback serve` without waiting for it. */
export const spawnServer = (port: number, environment: Environment, cwd?: string): SpawnedProcess =>
  spawnNode([MAIN, 'serve'], {
    ...(cwd === undefined ? {} : { cwd }),
    env: {
      LOG_LEVEL: 'warn',
      HOST: '127.0.0.1',
      PORT: String(port),
      SWITCHBACK_ADMIN_TOKEN: ADMIN,
      ...environment,
    },
  })

/** Starts a server and waits until it is ready. */
export async function startService(environment: Environment, port?: number): Promise<Service> {
  const at = port ?? (await freePort())
  const process = spawnServer(at, environment)
  const url = `http://127.0.0.1:${at}`
  await waitFor(() => fetch(`${url}/readyz`).then((response) => response.ok), {
    what: 'the server to be ready',
    timeoutMs: 40_000,
  }).catch((cause: unknown) => {
    throw new Error(`the server did not start: ${process.output()}`, { cause })
  })
  return {
    url,
    port: at,
    process,
    call: async <Result>(method: string, path: string, body?: unknown, token = ADMIN) => {
      const response = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as Result }
    },
  }
}

/** The example of the repository, its soak times taken out, as the API takes it. */
export async function exampleMigration(): Promise<{ yaml: string; sql: Record<string, string> }> {
  const read = (name: string) => readFile(new URL(name, EXAMPLE), 'utf8')
  const yaml = (await read('migration.yaml'))
    .replace(/soak: \w+/g, 'soak: 0s')
    .replace(/after: \w+/g, 'after: 0s')
  return {
    yaml,
    sql: {
      expand: await read('expand.sql'),
      rollback: await read('rollback.sql'),
      contract: await read('contract.sql'),
    },
  }
}

export async function tokenOf(service: Service, role: string): Promise<string> {
  const { body } = await service.call<{ token: string }>('POST', '/v1/tokens', { name: `test ${role}`, role })
  return body.token
}

interface View {
  readonly state: { readonly phase: string; readonly epoch: number }
  readonly gate: {
    readonly next: { readonly to?: Phase }
    readonly open: boolean
    readonly blockers: readonly { readonly message: string }[]
  }
}

/** Advances until the migration stands at `phase`; each gate is given time to open. */
export async function advanceTo(service: Service, phase: Phase, id = 'user-profiles'): Promise<void> {
  let stands = ''
  await waitFor(
    async () => {
      const { body } = await service.call<View>('GET', `/v1/migrations/${id}`)
      if (body.state.phase === phase) return true
      stands = [body.state.phase, ...body.gate.blockers.map(({ message }) => message)].join(': ')
      // The gate is asked after the state: work may have ended in between, and the step be the one after `phase`.
      const { open, next } = body.gate
      const beyond = next.to !== undefined && PHASES.indexOf(next.to) > PHASES.indexOf(phase)
      if (open && !beyond) await service.call('POST', `/v1/migrations/${id}/advance`, {})
      return false
    },
    { what: `the migration to stand at ${phase}`, timeoutMs: 40_000 },
  ).catch((cause: unknown) => {
    throw new Error(`it stands at ${stands}`, { cause })
  })
}
