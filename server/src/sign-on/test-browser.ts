/** A browser without a screen: it follows where it is sent, and keeps the cookies of each host. */
export interface TestBrowser {
  /** Goes to an address and on to wherever that leads. */
  visit(address: string, form?: Readonly<Record<string, string>>): Promise<Visited>
  /** One request, followed nowhere. */
  step(address: string, init?: RequestInit): Promise<Response>
  /** What the browser sends to this address, as the header has it. */
  cookiesFor(address: string): string
}

export interface Visited {
  readonly url: URL
  readonly status: number
  readonly text: string
}

export function testBrowser(): TestBrowser {
  const jars = new Map<string, Map<string, string>>()
  const jarOf = (address: string): Map<string, string> => {
    const { hostname } = new URL(address)
    const jar = jars.get(hostname) ?? new Map<string, string>()
    jars.set(hostname, jar)
    return jar
  }
  const cookiesFor = (address: string): string =>
    [...jarOf(address)].map(([name, value]) => `${name}=${value}`).join('; ')

  async function step(address: string, init: RequestInit = {}): Promise<Response> {
    const response = await fetch(address, {
      ...init,
      redirect: 'manual',
      headers: { accept: 'text/html,*/*', ...init.headers, cookie: cookiesFor(address) },
    })
    const jar = jarOf(address)
    for (const set of response.headers.getSetCookie()) {
      const [pair = ''] = set.split(';', 1)
      const at = pair.indexOf('=')
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(set)) jar.delete(pair.slice(0, at))
      else jar.set(pair.slice(0, at), pair.slice(at + 1))
    }
    return response
  }

  return {
    step,
    cookiesFor,
    async visit(address, form) {
      let url = new URL(address)
      let response = await step(
        url.href,
        form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) },
      )
      for (let hops = 0; hops < 20; hops++) {
        const to = response.headers.get('location')
        if (to === null) return { url, status: response.status, text: await response.text() }
        await response.arrayBuffer()
        url = new URL(to, url)
        response = await step(url.href)
      }
      throw new Error(`led round in a circle, at last to ${url.href}`)
    },
  }
}
