import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { SignOnSettings } from '../config/sign-on-settings.ts'
import type { Db } from '../db/db.ts'
import { type TestApi, testApi } from '../http/test-api.ts'
import { type TestBrowser, testBrowser } from './test-browser.ts'

export const PEOPLE = {
  ann: { email: 'ann@example.com', email_verified: true, name: 'Ann Lee', groups: ['riders', 'platform'] },
  ben: { email: 'ben@example.com', email_verified: true, name: 'Ben Roy', groups: ['riders'] },
  cid: { email: 'cid@example.com', email_verified: true, name: 'Cid Oz', groups: ['kitchen'] },
  dee: { email: 'dee@elsewhere.org', email_verified: true, groups: ['platform'] },
  eve: { email: 'eve@example.com', email_verified: false, groups: ['platform'] },
}

const CLIENT = 'switchback'

export interface RunningProvider {
  readonly issuer: string
  readonly port: number
  stop(): Promise<void>
}

/** A server that people sign in to, a provider, and a browser. */
export interface World {
  readonly url: string
  readonly api: TestApi
  readonly provider: RunningProvider
  readonly settings: SignOnSettings
  readonly browser: TestBrowser
  /** Presses the button, and says at the provider who one is; the answer is where that has led. */
  signIn(
    who: keyof typeof PEOPLE | 'cancel',
    options?: { browser?: TestBrowser; returnTo?: string },
  ): Promise<URL>
  /** Begins, and stops before the provider's answer is brought back to the server. */
  answerFor(who: keyof typeof PEOPLE, change?: (asked: URL) => void): Promise<URL>
  statusOfMe(): Promise<number>
  call(method: string, path: string, options?: CallOptions): Promise<{ status: number; body: Answer }>
}

interface CallOptions {
  readonly browser?: TestBrowser
  readonly body?: object
  readonly headers?: Record<string, string>
}
// biome-ignore lint/suspicious/noExplicitAny: answers of many routes, looked into by the tests
export type Answer = any

export interface WorldOptions<ProviderOptions> {
  readonly settings?: Partial<SignOnSettings>
  readonly provider?: ProviderOptions
}

interface WorldsDeps<ProviderOptions> {
  readonly db: Db
  freePort(): Promise<number>
  openIdProvider(
    options: ProviderOptions & {
      readonly clientId: string
      readonly clientOrigin: string
      readonly people: typeof PEOPLE
    },
  ): Promise<RunningProvider>
}

export interface Worlds<ProviderOptions> {
  open(options?: WorldOptions<ProviderOptions>): Promise<World>
  /** Has an API listen, at any port where none is given; its address. */
  listening(api: TestApi, port?: number): Promise<string>
  eventsOf(
    kind: string,
  ): Promise<readonly { readonly actor: string; readonly subject: string; readonly detail: Answer }[]>
  /** Ends what was opened, and forgets everybody. */
  clear(): Promise<void>
}

/** Where a browser was led, and the word by which it is told what went wrong. */
export const troubleOf = (url: URL): string | null => url.searchParams.get('sign-on')

/** Worlds on one store, one after the other. */
export function signOnWorlds<ProviderOptions>(deps: WorldsDeps<ProviderOptions>): Worlds<ProviderOptions> {
  const { db } = deps
  const cleanup: (() => Promise<unknown>)[] = []

  async function listening(api: TestApi, port = 0): Promise<string> {
    const server = createServer(api.app)
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    cleanup.push(async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await api.stop()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  return {
    listening,
    eventsOf: async (kind) => {
      const { rows } = await db.query<{ actor: string; subject: string; detail: Answer }>(
        'select actor, subject, detail from audit_events where kind = $1 order by revision desc',
        [kind],
      )
      return rows
    },
    clear: async () => {
      for (const step of cleanup.splice(0).reverse()) await step()
      await db.query('truncate sessions, sign_ons, identities, identity_names, tokens, migrations cascade')
    },
    open: async (options = {}) => {
      const port = await deps.freePort()
      const url = `http://127.0.0.1:${port}`
      const provider = await deps.openIdProvider({
        ...(options.provider as ProviderOptions),
        clientId: CLIENT,
        clientOrigin: url,
        people: PEOPLE,
      })
      cleanup.push(() => provider.stop().catch(() => undefined))
      const settings: SignOnSettings = {
        issuer: provider.issuer,
        clientId: CLIENT,
        name: 'Test Provider',
        scopes: 'openid profile email groups',
        origin: url,
        groupsClaim: 'groups',
        roles: [
          { role: 'operator', group: 'riders' },
          { role: 'admin', group: 'platform' },
        ],
        sessionMs: 12 * 3_600_000,
        idleMs: 3_600_000,
        signsOutAtProvider: true,
        ...options.settings,
      }
      const api = testApi(db, { signOn: settings })
      await listening(api, port)
      return worldOf({ url, api, provider, settings })
    },
  }
}

function worldOf(parts: Pick<World, 'url' | 'api' | 'provider' | 'settings'>): World {
  const { url, provider } = parts
  const browser = testBrowser()

  async function toProvider(by: TestBrowser, returnTo: string, change?: (asked: URL) => void): Promise<URL> {
    const started = await by.step(`${url}/v1/sign-on/start?return=${encodeURIComponent(returnTo)}`)
    const asked = new URL(started.headers.get('location') ?? 'about:blank')
    change?.(asked)
    return asked
  }

  return {
    ...parts,
    browser,
    async signIn(who, { browser: by = browser, returnTo = '/fleet' } = {}) {
      const asked = await toProvider(by, returnTo)
      if (asked.origin !== provider.issuer) return asked
      const shown = await by.visit(asked.href)
      if (!shown.url.pathname.startsWith('/interaction/')) return shown.url
      return (await by.visit(shown.url.href, who === 'cancel' ? {} : { who })).url
    },
    async answerFor(who, change) {
      const asked = await toProvider(browser, '/fleet', change)
      const shown = await browser.visit(asked.href)
      let at = shown.url
      let response = await browser.step(at.href, { method: 'POST', body: new URLSearchParams({ who }) })
      for (;;) {
        at = new URL(response.headers.get('location') ?? 'about:blank', at)
        if (at.origin === url) return at
        response = await browser.step(at.href)
      }
    },
    statusOfMe: async () => (await browser.step(`${url}/v1/me`)).status,
    async call(method, path, { browser: by = browser, body, headers } = {}) {
      const response = await by.step(url + path, {
        method,
        headers: {
          'content-type': 'application/json',
          ...(method === 'GET' ? {} : { origin: url, 'x-switchback': 'console' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
    },
  }
}
