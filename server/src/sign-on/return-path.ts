const MAX_LENGTH = 2_000
/** Pages of the console lie beside these; what answers there is no page. */
const NO_PAGE = /^\/(v1|ofrep|socket\.io|healthz|readyz|metrics|assets)(\/|$)/

/**
 * Where to go after signing in: a page of this very server, or the overview. Whatever a stranger has put into
 * the address leads nowhere else.
 */
export function returnPath(given: unknown): string {
  if (typeof given !== 'string' || given.length > MAX_LENGTH || !given.startsWith('/')) return '/'
  const base = 'http://switchback.invalid'
  if (!URL.canParse(given, base)) return '/'
  // The parser drops what browsers drop, such as tabs, and resolves dots: what is looked at is what is followed.
  const { origin, pathname, search, hash } = new URL(given, base)
  if (origin !== base || pathname.startsWith('//') || NO_PAGE.test(pathname)) return '/'
  return pathname + search + hash
}
