import type { Scoped } from '../tokens/tokens.ts'
import { NOBODY, PREVIOUS } from './registration.ts'

/** What each sender's token is for, as the store is told; null is everything. */
export const scopesOf = (sent: readonly { readonly sender: Scoped }[]): readonly (string | null)[] =>
  sent.map(({ sender: { migrations } }) => (migrations === undefined ? null : JSON.stringify(migrations)))

/**
 * Whether the instance `i` has told of nothing beyond this scope. Whoever may not speak of a migration must not
 * keep alive, or take off the books, a process that its gate waits for; not even by knowing its incarnation.
 */
export const within = (scope: string): string => `(${scope} is null or not exists (
  select from instance_positions told where told.instance = i.id and not ${scope} ? told.migration))`

/**
 * Whether the entry `i` is one process, for which that process speaks. Versions before kept several predecessors as
 * `several`, which can be said: such entries are still there, and a server of before may be beside this one.
 */
export const ONE_PROCESS = `(i.incarnation <> '${NOBODY}'
  and (i.incarnation <> 'several' or i.id not like '%${PREVIOUS}'))`

/**
 * Whether the instance `i` has to do with any migration of this scope: it has told of one, or its app is one that
 * such a migration counts on.
 *
 * @param scope parameter of a `text[]`; null is everything
 */
export const concerns = (scope: string): string => `(${scope}::text[] is null
  or exists (select from instance_positions own where own.instance = i.id and own.migration = any(${scope}))
  or i.app in (select jsonb_array_elements_text(m.definition -> 'apps') from migrations m where m.id = any(${scope})))`
