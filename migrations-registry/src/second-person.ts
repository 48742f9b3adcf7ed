import type { Approval } from './state.ts'

/** Who approves, or takes the step that was approved. */
export interface Asker {
  readonly by: string
  /** The human being behind the name, where that is known: one person may have several names and tokens. */
  readonly person?: string
}

/** Whether an approval was given by this very person, as far as can be known. */
export const isOwn = (approval: Approval, { by, person }: Asker): boolean =>
  approval.by === by || (person !== undefined && approval.person === person)
