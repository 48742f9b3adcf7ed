import { SwitchbackError } from '../error.ts'
import type { BehindQuestion, Intent } from './half-port.ts'
import type { Guard, TargetFailure } from './transaction-port.ts'

/** Isolation levels of PostgreSQL that a routed transaction may use. */
export type Isolation = 'read committed' | 'repeatable read' | 'serializable'

const SAVEPOINT = 'switchback'
export const SET_SAVEPOINT = `SAVEPOINT ${SAVEPOINT}`
export const ROLLBACK_TO_SAVEPOINT = `ROLLBACK TO SAVEPOINT ${SAVEPOINT}`

/**
 * A text as an SQL literal, safe whatever `standard_conforming_strings` says.
 *
 * @throws SwitchbackError `bad-key` for a text with NUL, which would end the message where it stands
 */
function literal(text: string): string {
  if (text.includes('\0')) {
    throw new SwitchbackError('bad-key', 'a key must not contain the character NUL', { retryable: false })
  }
  const quoted = `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted}` : quoted
}

const identifier = (name: string): string => {
  if (name.includes('\0'))
    throw new SwitchbackError('bad-key', 'a name must not contain NUL', { retryable: false })
  return `"${name.replaceAll('"', '""')}"`
}

/** The statement that a guard consists of; none for none. */
export function guardText(guard: Guard): string | undefined {
  switch (guard.kind) {
    case 'fence':
      return `SELECT switchback.${identifier(`enter:${guard.migration}`)}(${Math.trunc(guard.epoch)}, ${literal(guard.key)})`
    case 'lock':
      return `SELECT switchback.lock_key(${literal(guard.migration)}, ${literal(guard.key)})`
    case 'none':
      return undefined
  }
}

/**
 * The one message that a routed write begins with. Round trips are what a guarded write costs, so `BEGIN`,
 * guard and savepoint travel together, in the simple query protocol.
 */
export function beginText(guard: Guard, savepoint: boolean, isolation: Isolation | undefined): string {
  const begin = isolation === undefined ? 'BEGIN' : `BEGIN ISOLATION LEVEL ${isolation.toUpperCase()}`
  return [begin, guardText(guard), savepoint ? SET_SAVEPOINT : undefined]
    .filter((part) => part !== undefined)
    .join('; ')
}

/**
 * The one message that half of a write in independent mode begins with: `BEGIN`, guard, and the question
 * whether the other path of the key is behind. READ COMMITTED, whatever the database is set to: the question
 * must see what was committed while the guard waited for the key.
 */
export function beginHalfText(guard: Guard, behind: BehindQuestion): string {
  const { migration, key, path } = behind
  return [
    'BEGIN ISOLATION LEVEL READ COMMITTED',
    guardText(guard),
    `SELECT switchback.repair_open(${literal(migration)}, ${literal(key)}, ${literal(path)}) AS open`,
  ]
    .filter((part) => part !== undefined)
    .join('; ')
}

/** Writes the intent and commits, in one message. */
export function commitWithIntentText(token: string, { migration, key, path, epoch }: Intent): string {
  const values = [token, migration, key, path].map(literal).join(', ')
  return `SELECT switchback.write_intent(${values}, ${Math.trunc(epoch)}); COMMIT`
}

const FAILURES: Readonly<Record<string, TargetFailure>> = {
  SB001: 'stale-epoch',
  SB002: 'repair-conflict',
  '40001': 'serialization',
  '40P01': 'serialization',
  // Schema, function, or table and sequence not there.
  '3F000': 'no-fence',
  '42883': 'no-fence',
  '42P01': 'no-fence',
  '57P01': 'connection',
  '57P02': 'connection',
  '57P03': 'connection',
}

/** The SQLSTATE of an error, where the server has sent one. */
export function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  const { code } = error
  // Node's own codes (EPIPE, say) can have five letters too; only the server's errors carry a severity.
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in error ? code : undefined
}

export function failureOf(error: unknown): TargetFailure {
  const state = sqlState(error)
  if (state === undefined) return 'other'
  return FAILURES[state] ?? (state.startsWith('08') ? 'connection' : 'other')
}
