import type {
  BackfillStep,
  StepContext,
  StepKey,
  StepKeys,
  StepOutcome,
  StepRow,
  StepValues,
} from '@switchback/migrations-registry'
import { messageOf, NETWORK, StepFailed, throwIfStopped } from '../target/execution-error.ts'

/** A step as the engine calls it: bounded in time, and with errors that are told apart. */
export interface CalledStep {
  write(rows: readonly StepRow[]): Promise<StepOutcome>
  read(keys: readonly StepKey[]): Promise<readonly (StepValues | undefined)[]>
  remove(keys: readonly StepKey[]): Promise<void>
  /** Undefined where the step does not tell its keys. */
  keys: ((after: string | undefined) => Promise<StepKeys>) | undefined
  equal(column: string, old: string | null, fresh: string | null): boolean
}

const LIMIT_MS = 60_000
/** How long a call that was told to end is waited for: while it runs it may still write. */
const GRACE_MS = 10_000

export function calledStep(step: BackfillStep, migration: string, stop: AbortSignal): CalledStep {
  async function call<T>(name: string, work: (context: StepContext) => Promise<T>): Promise<T> {
    throwIfStopped(stop)
    const limit = new AbortController()
    const signal = AbortSignal.any([stop, limit.signal])
    const timers: NodeJS.Timeout[] = []
    const givenUp = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => {
        timers.push(
          setTimeout(
            () => reject(new StepFailed(`${name}() did not end when it was told to`, true)),
            GRACE_MS,
          ),
        )
      })
    })
    timers.push(setTimeout(() => limit.abort(), LIMIT_MS))
    try {
      return await Promise.race([work({ migration, signal }), givenUp])
    } catch (error) {
      throwIfStopped(stop)
      if (error instanceof StepFailed) throw error
      const late = limit.signal.aborted ? ` after ${LIMIT_MS / 1000} s` : ''
      throw new StepFailed(`${name}()${late}: ${messageOf(error)}`, late !== '' || mayPass(error), error)
    } finally {
      for (const timer of timers) clearTimeout(timer)
    }
  }
  const { keys } = step
  return {
    write: async (rows) => (await call('write', (context) => step.write(rows, context))) ?? {},
    read: async (asked) => {
      if (asked.length === 0) return []
      const values = await call('read', (context) => step.read(asked, context))
      if (values.length === asked.length) return values
      throw new StepFailed(`read() gave ${values.length} answers to ${asked.length} keys`, false)
    },
    remove: async (gone) => {
      if (gone.length > 0) await call('remove', (context) => step.remove(gone, context))
    },
    keys: keys && ((after) => call('keys', (context) => keys.call(step, after, context))),
    equal: (column, old, fresh) =>
      step.equal === undefined ? old === fresh : step.equal(column, old, fresh),
  }
}

/** Whether the same call may succeed later: the step says so, or the network is known to. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('retryable' in error) return error.retryable === true
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return (
    NETWORK.has(code) ||
    code === 'ENOTFOUND' ||
    code === 'EAI_AGAIN' ||
    error.name === 'MaxRetriesPerRequestError'
  )
}
