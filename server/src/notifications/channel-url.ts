const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * What is wrong with an address that notices are to be sent to; undefined where nothing is. Without encryption
 * only this machine, and hosts that the server was told to trust: notices say what fails, and a secret goes with them.
 */
export function urlProblem(text: string, httpHosts: readonly string[]): string | undefined {
  if (!URL.canParse(text)) return 'expected a URL'
  const { protocol, hostname, username, password } = new URL(text)
  if (username !== '' || password !== '') return 'expected a URL without user and password'
  if (protocol === 'https:') return undefined
  if (protocol !== 'http:') return 'expected a URL that begins with https://'
  if (LOOPBACK.has(hostname) || httpHosts.includes(hostname)) return undefined
  return `expected https://, or a host of NOTIFY_HTTP_HOSTS; ${hostname} is none`
}

/** The same for SMTP: `smtps://`, or `smtp://` (which asks for STARTTLS) to any host. */
export function smtpProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'expected a URL'
  const { protocol, hostname } = new URL(text)
  if (protocol !== 'smtp:' && protocol !== 'smtps:')
    return 'expected a URL that begins with smtps:// or smtp://'
  return hostname === '' ? 'expected the host of a mail server' : undefined
}
