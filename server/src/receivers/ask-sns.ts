const TIMEOUT_MS = 3_000
const MAX_BYTES = 50_000

/** Asks SNS itself: https, no way round by redirection, not for long, and no long answer. */
export async function askSns(url: URL, timeoutMs = TIMEOUT_MS): Promise<string> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) })
  const text = await response.text()
  if (!response.ok) throw new Error(`SNS answered ${response.status}`)
  if (text.length > MAX_BYTES) throw new Error('SNS answered more than a certificate')
  return text
}
