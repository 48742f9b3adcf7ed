import { toldRouting } from './config.ts'
import type { MigrationDefinition } from './definition.ts'
import type { Path } from './phases.ts'
import type { Routing } from './routing.ts'
import { usedPaths } from './routing.ts'
import type { MigrationState } from './state.ts'
import { currentRouting } from './state.ts'

/** What of a definition decides who must have handlers, and for which paths. */
export interface HandlerRules {
  readonly id: string
  readonly apps: readonly string[]
  readonly writes?: MigrationDefinition['writes']
}

/** A version of an application, as one migration sees it. */
export interface HandlerHolder {
  readonly app: string
  /** Paths that it has handlers for; undefined where it does not know the migration. */
  readonly handlers: readonly Path[] | undefined
}

/** Paths that instances need handlers for under this routing. */
export const neededPaths = (rules: Pick<HandlerRules, 'writes'>, routing: Routing): readonly Path[] =>
  usedPaths(toldRouting(rules, routing))

const lacking = (needed: readonly Path[], { handlers = [] }: HandlerHolder): readonly Path[] =>
  needed.filter((path) => !handlers.includes(path))

/** Paths for want of which registration refuses this version now. */
export function missingAtRegistration(
  rules: HandlerRules,
  state: MigrationState,
  holder: HandlerHolder,
): readonly Path[] {
  if (holder.handlers === undefined && !rules.apps.includes(holder.app)) return []
  const needed = neededPaths(rules, currentRouting(rules.id, state))
  // A version from before the migration was thought of does what old does, without a handler for it. Were it
  // refused, registering a migration would take down the application that it is for.
  if (holder.handlers === undefined && needed.every((path) => path === 'old')) return []
  return lacking(needed, holder)
}

/** Paths for want of which an instance of this version keeps `routing` from coming into force. */
export function missingAtGate(rules: HandlerRules, routing: Routing, holder: HandlerHolder): readonly Path[] {
  if ((holder.handlers ?? []).length === 0 && !rules.apps.includes(holder.app)) return []
  return lacking(neededPaths(rules, routing), holder)
}

/** What a version is refused for, in the words that registration and `can-i-deploy` share. */
export const refusedText = (
  id: string,
  phase: MigrationState['phase'],
  missing: readonly Path[],
  version: { readonly app: string; readonly version: string; readonly handlers: readonly Path[] | undefined },
): string =>
  `${id} is at ${phase}, which needs handlers for ${missing.join(' and ')}; ${version.app} ${version.version} has ${version.handlers?.join(' and ') || 'none'}.`
