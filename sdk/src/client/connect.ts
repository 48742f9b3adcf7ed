import { randomUUID } from 'node:crypto'
import { settlesWithin } from '../clock.ts'
import { createLink } from '../link/create-link.ts'
import type { Switchback } from './client.ts'
import { createClient } from './create-client.ts'
import { type ConnectOptions, parseOptions } from './options.ts'

/**
 * Connects this process to Switchback.
 *
 * Resolves as soon as there is a state to work with: registered with the server, or, where that cannot be
 * reached within `startTimeout`, with the state of `stateFile`, of `bootstrap`, or the defaults (old). It then
 * goes on connecting by itself: a flag server must never take an application down.
 *
 * @throws SwitchbackError `bad-options`; `unauthorized` for a wrong token; `refused` where the server does
 *   not take this instance for good
 * @example
 * const switchback = await connect({ url, token, app: 'rides-api', version: '1.4.2' })
 */
export async function connect(options: ConnectOptions): Promise<Switchback> {
  const settings = parseOptions(options)
  const { client, first } = await createClient(settings, { link: createLink(settings), newId: randomUUID })
  if (!(await settlesWithin(settings.clock, first, settings.startTimeout))) {
    settings.log.warn('the server could not be reached; starting with what is held', {
      revision: client.status().revision,
    })
    return client
  }
  try {
    await first
    return client
  } catch (error) {
    await client.close()
    throw error
  }
}
