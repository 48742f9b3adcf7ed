export const OUTCOMES = ['ok', 'warn', 'fail'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** One thing that was looked at. No secret is ever in it. */
export interface Check {
  /** What it is about: `settings`, `store`, `target main`, `redis`, `machine`. */
  readonly area: string
  readonly name: string
  readonly outcome: Outcome
  readonly message: string
  /** What to do; where nothing is amiss there is nothing to be done. */
  readonly action?: string
}

/** Makes the checks of one area. */
export function checksOf(area: string) {
  return {
    ok: (name: string, message: string): Check => ({ area, name, outcome: 'ok', message }),
    warn: (name: string, message: string, action: string): Check => ({
      area,
      name,
      outcome: 'warn',
      message,
      action,
    }),
    fail: (name: string, message: string, action: string): Check => ({
      area,
      name,
      outcome: 'fail',
      message,
      action,
    }),
  }
}

export type Checks = ReturnType<typeof checksOf>

/** Where a database is, without user and password. */
export function placeOf(url: string): string {
  const { hostname, port, pathname, searchParams } = new URL(url)
  return `${searchParams.get('host') ?? hostname}${port === '' ? '' : `:${port}`}${pathname}`
}

/** What a fault says, without the secrets that URLs and passwords are. */
export function faultText(error: unknown, ...secrets: readonly (string | undefined)[]): string {
  const first = error instanceof AggregateError ? (error.errors[0] ?? error) : error
  let text = first instanceof Error && first.message !== '' ? first.message : String(first)
  for (const secret of secrets.flatMap(partsOf)) text = text.replaceAll(secret, '…')
  return text
}

function partsOf(secret: string | undefined): readonly string[] {
  if (secret === undefined || secret === '') return []
  if (!URL.canParse(secret)) return [secret]
  const { password } = new URL(secret)
  return [secret, password, decodeURIComponent(password)].filter((part) => part !== '')
}
