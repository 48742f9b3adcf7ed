/** Whether people can sign in by a provider here, and whether this browser has. */
export interface Offer {
  readonly offered: boolean
  /** What the provider is called. */
  readonly name?: string
  readonly signedIn?: boolean
}

/** @throws where the server cannot be reached */
export async function askOffer(): Promise<Offer> {
  const response = await fetch('/v1/sign-on', { headers: { Accept: 'application/json' } })
  if (!response.ok) throw new Error(`The server answered ${response.status}.`)
  return (await response.json()) as Offer
}

/** Leads to the provider, and from there back to the page that is looked at now. */
export const startAddress = (): string =>
  `/v1/sign-on/start?return=${encodeURIComponent(location.pathname + location.search + location.hash)}`

const PARAMETER = 'sign-on'

/** The word with which the server sent the browser back, if it did; taken out of the address. */
export function takeTrouble(): string | undefined {
  const address = new URL(location.href)
  const trouble = address.searchParams.get(PARAMETER) ?? undefined
  if (trouble === undefined) return undefined
  address.searchParams.delete(PARAMETER)
  history.replaceState(history.state, '', address)
  return trouble
}
