import type { MigrationState } from './state.ts'
import { keysText, type VerificationTripwire } from './tripwire-schema.ts'
import type { Judgement } from './verdict.ts'

/** What the last verification of the present phase found, against the limit. */
export function judgeVerification(
  { watch, above }: VerificationTripwire,
  { work }: MigrationState,
): Judgement {
  const compared = work?.compared
  if (compared === undefined) {
    return {
      outcome: 'fine',
      reason: 'not-in-use',
      explanation: 'No verification of this phase has ended.',
      numbers: { limit: above },
    }
  }
  const keys = watch === 'verification' ? compared.left : compared.differing
  const share = above > 0 && above < 1
  const value = share ? keys / Math.max(1, compared.rows) : keys
  const what = watch === 'verification' ? 'still differ after repair' : 'differed'
  const explanation = `${keys} keys of ${compared.rows} ${what}; the limit is ${keysText(above)}.`
  const numbers = { value, limit: above, samples: compared.rows }
  return value > above
    ? { outcome: 'breach', reason: 'breach', explanation, numbers }
    : { outcome: 'fine', reason: 'below-limit', explanation, numbers }
}
