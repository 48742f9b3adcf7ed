import type { CommandResult, StoredMigration } from '../phases/phase-service.ts'
import type { ProblemCode } from './problem.ts'
import { HttpProblem } from './problem.ts'

interface Refused {
  readonly refusal: { readonly code: ProblemCode; readonly message: string; readonly action: string }
}

/** The migration after a change; a refusal becomes a problem that says what to do instead. */
export function changedOrThrow(result: CommandResult): StoredMigration {
  if (result.ok) return result.migration
  const { refusal, blockers } = result
  throw new HttpProblem(refusal.code, refusal.message, {
    action: refusal.action,
    ...(blockers === undefined ? {} : { blockers }),
  })
}

/** The value of a result, or its refusal as a problem. */
export function valueOrThrow<T>(
  result: { readonly ok: true; readonly value: T } | ({ readonly ok: false } & Refused),
): T {
  if (result.ok) return result.value
  const { code, message, action } = result.refusal
  throw new HttpProblem(code, message, { action })
}
