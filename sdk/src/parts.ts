/** What a client is put together from: for who runs it over a network and a clock of its own, as the simulation does. */
export type { ClientListener, Status, Switchback } from './client/client.ts'
export { type ClientParts, createClient } from './client/create-client.ts'
export { parseOptions, type Settings } from './client/options.ts'
export { createLink } from './link/create-link.ts'
export type { Link, LinkListener } from './link/link.ts'
