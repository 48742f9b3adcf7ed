import type {
  Answer,
  HeartbeatAnswer,
  RegistrationAnswer,
  Snapshot,
  WireError,
} from '@switchback/migrations-registry'
import { snapshotSchema } from '@switchback/migrations-registry'

/** An answer that does not have the shape of one. Treated as a fault that may pass. */
const unreadable = (what: string): { ok: false; error: WireError } => ({
  ok: false,
  error: { code: 'bad-answer', message: `the server's answer is not readable: ${what}`, retryable: true },
})

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

const positive = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0

function errorOf(value: unknown): WireError | undefined {
  if (!isRecord(value) || value.ok !== false) return undefined
  const { error } = value
  if (!isRecord(error)) return unreadable('no error').error
  const { code, message, retryable } = error
  return {
    code: typeof code === 'string' ? code : 'unknown',
    message: typeof message === 'string' ? message : 'no message',
    retryable: retryable !== false,
  }
}

/** Reads an answer; nothing in it is believed before it has been looked at. */
function read<T>(answer: unknown, parse: (value: unknown) => Answer<T>): Answer<T> {
  const error = errorOf(answer)
  if (error !== undefined) return { ok: false, error }
  return isRecord(answer) && answer.ok === true ? parse(answer.value) : unreadable('neither ok nor error')
}

export const readSnapshot = (answer: unknown): Answer<Snapshot> =>
  read(answer, (value) => {
    const parsed = snapshotSchema.safeParse(value)
    return parsed.success ? { ok: true, value: parsed.data } : unreadable(parsed.error.message)
  })

export const readRegistration = (answer: unknown): Answer<RegistrationAnswer> =>
  read(answer, (value) => {
    if (!isRecord(value)) return unreadable('no registration')
    const { heartbeatMs, leaseMs } = value
    const snapshot = snapshotSchema.safeParse(value.snapshot)
    if (!snapshot.success) return unreadable(snapshot.error.message)
    if (!positive(heartbeatMs) || !positive(leaseMs)) return unreadable('no times')
    return { ok: true, value: { snapshot: snapshot.data, heartbeatMs, leaseMs } }
  })

export const readHeartbeat = (answer: unknown): Answer<HeartbeatAnswer> =>
  read(answer, (value) => {
    if (!isRecord(value)) return unreadable('no heartbeat')
    const { revision, leaseMs } = value
    if (typeof revision !== 'number' || !positive(leaseMs)) return unreadable('no times')
    return { ok: true, value: { revision, leaseMs } }
  })

export const readNull = (answer: unknown): Answer<null> => read(answer, () => ({ ok: true, value: null }))
