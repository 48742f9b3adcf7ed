import type { Registration } from '@switchback/migrations-registry'
import { inScope, type Scoped } from '../tokens/tokens.ts'
import type { FleetRefusal } from './fleet-port.ts'

/** A registration with what its sender's token is for. */
export interface Registering extends Registration {
  readonly sender?: Scoped
}

export const EVERYTHING: Scoped = {}

const refuse = (message: string): FleetRefusal => ({ code: 'out-of-scope', message, retryable: false })

/** As many as a person reads; an instance may name a thousand. */
const NAMED = 10

function listed(migrations: readonly string[]): string {
  const named = migrations.slice(0, NAMED).map((id) => `"${id}"`)
  const more = migrations.length - named.length
  return `${migrations.length === 1 ? 'migration' : 'migrations'} ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/**
 * Handlers or positions of migrations that the sender's token is not for. All of it is refused, not that part: an
 * instance that the gate of a migration does not count, and that runs its handlers all the same, is what the gate
 * is there to rule out.
 */
export function judgeClaims(
  { migrations, positions }: Pick<Registration, 'positions'> & Partial<Pick<Registration, 'migrations'>>,
  sender: Scoped,
): FleetRefusal | undefined {
  if (sender.migrations === undefined) return undefined
  const named = new Set([...Object.keys(migrations ?? {}), ...Object.keys(positions)])
  const foreign = [...named].filter((id) => !inScope(sender, id))
  if (foreign.length === 0) return undefined
  return refuse(
    `The token of this instance is not for the ${listed(foreign)}, which it speaks of: nothing was taken of what it said. Give it a token whose scope includes all that it handles, or take their handlers out of it.`,
  )
}

/** An app that a migration counts on has to handle it, and may not with this token. */
export const appOutOfScope = (migration: string, app: string): FleetRefusal =>
  refuse(
    `${app} is one of the apps of the ${listed([migration])}, whose phase takes handlers, and the token of this instance is not for it. Give it a token whose scope includes "${migration}", and declare its handlers.`,
  )

/** The process that is on the books has told of migrations that this sender may not speak of. */
export const processOutOfScope = (instance: string): FleetRefusal =>
  refuse(
    `${instance} is registered with migrations that this token is not for. Go on with the token that it registered with, or register as a process of its own.`,
  )
