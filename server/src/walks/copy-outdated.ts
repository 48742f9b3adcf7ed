import { ExecutionError } from '../target/execution-error.ts'

/** Thrown where what a copy wrote down about old when it began says nothing any more: it begins anew. */
export class CopyOutdated extends ExecutionError {
  constructor(message: string) {
    super('work-stopped', message, { retryable: true })
  }
}
