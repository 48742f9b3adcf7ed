import type { Clock } from '../clock.ts'
import { createAutoLink } from './auto-link.ts'
import type { Link } from './link.ts'
import { createPollingLink } from './polling-link.ts'
import { createSocketLink } from './socket-link.ts'

export interface LinkOptions {
  readonly url: string
  readonly token: string
  readonly transport: 'auto' | 'websocket' | 'polling'
  readonly clock: Clock
  /** 0 to 1, 1 excluded. */
  readonly random: () => number
}

/** The way to the server that was asked for. */
export function createLink(options: LinkOptions): Link {
  if (options.transport === 'polling') return createPollingLink(options)
  const websocket = createSocketLink(options)
  if (options.transport === 'websocket') return websocket
  return createAutoLink({ websocket, polling: () => createPollingLink(options) })
}
