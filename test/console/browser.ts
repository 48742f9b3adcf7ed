import { type Browser, chromium, type Page } from 'playwright-core'
import { chromiumPath } from '../support/index.ts'

/** A Chromium; undefined where there is none, which is said loudly. */
export function findChromium(): string | undefined {
  const found = chromiumPath()
  if (found === undefined) {
    console.warn(
      '\n*** No Chromium here: the tests of the console are SKIPPED. ***\n*** Install it (apt-get install chromium), or name one in CHROMIUM_PATH. ***\n',
    )
  }
  return found
}

export const launch = (executablePath: string): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })

export interface Visit {
  readonly url: string
  readonly token: string
  readonly width?: number
  readonly dark?: boolean
}

export interface Visited {
  readonly page: Page
  /** Errors and broken policies that the page has told of. */
  readonly complaints: string[]
  /** Addresses of other hosts that were asked. */
  readonly strangers: string[]
}

/** Opens the console in a window of its own, signed in as whoever the token stands for. */
export async function visit(
  browser: Browser,
  { url, token, width = 1280, dark = false }: Visit,
): Promise<Visited> {
  const page = await browser.newPage({
    viewport: { width, height: width < 500 ? 780 : 860 },
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
  })
  const complaints: string[] = []
  const strangers: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (/Content Security Policy|Warning:|Minified React error/.test(message.text()))
      complaints.push(message.text())
  })
  page.on('request', (request) => {
    const asked = new URL(request.url())
    if (asked.host !== new URL(url).host && !['data:', 'blob:'].includes(asked.protocol)) {
      strangers.push(request.url())
    }
  })
  await page.addInitScript(`sessionStorage.setItem('switchback.token', ${JSON.stringify(token)})`)
  return { page, complaints, strangers }
}
