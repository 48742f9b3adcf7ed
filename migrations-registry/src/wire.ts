import { z } from 'zod'
import { PHASES } from './phases.ts'
import { READ_VARIANTS, WRITE_VARIANTS } from './routing.ts'

/** Version of the messages between SDK and server; a server refuses what it does not speak. */
export const PROTOCOL = 1

const path = z.enum(['old', 'new'])
const epoch = z.int().min(0)
const name = z.string().min(1).max(200)

export const readRuleSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('fixed'), variant: z.enum(READ_VARIANTS) }),
  z.object({
    kind: z.literal('split'),
    inside: z.enum(READ_VARIANTS),
    outside: z.enum(READ_VARIANTS),
    share: z.number().min(0).max(1),
    canary: z.array(name),
    salt: z.string(),
  }),
])

/** What an instance needs to know of one migration; each message carries it whole, never a difference. */
export const migrationConfigSchema = z.object({
  id: name,
  epoch,
  phase: z.enum(PHASES),
  write: z.enum(WRITE_VARIANTS),
  read: readRuleSchema,
  backfill: z.boolean(),
  /** Writes go through the fence of the target. */
  fenced: z.boolean(),
  /** Paths of which a served read first asks whether its key waits for repair. */
  guarded: z.array(path),
  shadow: z.object({
    sample: z.number().min(0).max(1),
    concurrency: z.int().min(1),
    timeout: z.int().min(1),
  }),
  alias: name.optional(),
})
export type MigrationConfig = z.output<typeof migrationConfigSchema>

const flags = z.array(z.record(z.string(), z.json()))

/** Everything at one revision: the answer to `register` and to `sync`, and the body of polling. */
export const snapshotSchema = z.object({
  revision: z.int().min(0),
  migrations: z.array(migrationConfigSchema),
  flags,
})
export type Snapshot = z.output<typeof snapshotSchema>

/** What changed between two revisions. Applies only to a client that is at `since` or later. */
export const changeSchema = snapshotSchema.extend({
  since: z.int().min(0),
  removedMigrations: z.array(name),
  removedFlags: z.array(name),
})
export type Change = z.output<typeof changeSchema>

export const registrationSchema = z.strictObject({
  protocol: z.int(),
  instance: name,
  /** Random per process start, so that two processes with one instance id are told apart. */
  incarnation: name,
  app: name,
  version: name,
  onLeaseExpired: z.enum(['hold', 'stop']),
  migrations: z
    .record(name, z.strictObject({ handlers: z.array(path).max(2), fenced: z.boolean() }))
    .refine((all) => Object.keys(all).length <= 1000, 'at most 1000 migrations'),
  /** Position per migration: what survives a reconnect; empty at the start of a process. */
  positions: z.record(name, z.strictObject({ applied: epoch, drained: epoch })),
})
export type Registration = z.output<typeof registrationSchema>

export const positionSchema = z.strictObject({
  applied: epoch,
  drained: epoch,
  oldest: z.strictObject({ kind: name, ageMs: z.number().min(0) }).optional(),
})
export type Position = z.output<typeof positionSchema>

/** Sent every heartbeat, and at once (`progress`) when a position has changed. Idempotent: whole positions. */
export const heartbeatSchema = z.strictObject({
  revision: z.int().min(0),
  positions: z.record(name, positionSchema),
})
export type Heartbeat = z.output<typeof heartbeatSchema>

const counts = z.record(z.string().max(100), z.int().min(0))
/** Measurements of one path under one epoch since the last batch. */
export const measurementSchema = z.strictObject({
  migration: name,
  epoch,
  path,
  operation: z.enum(['read', 'write', 'remove']),
  count: z.int().min(0),
  errors: counts,
  /** Counts by bucket of `LATENCY_BUCKETS_MS`, one more for everything above. */
  latency: z.array(z.int().min(0)).max(64),
  /** The same by bucket of `FINE_LATENCY_BUCKETS_MS`. */
  fine: z.array(z.int().min(0)).max(128).optional(),
  mismatches: z.int().min(0),
  compared: z.int().min(0),
  secondaryFailures: z.int().min(0),
  /** Of these, operations beside the one that was served: their failures reached no caller. */
  shadow: z.strictObject({ count: z.int().min(0), failed: z.int().min(0) }).optional(),
})
export type Measurement = z.output<typeof measurementSchema>

export const telemetrySchema = z.strictObject({
  measurements: z.array(measurementSchema).max(2000),
  dropped: z.int().min(0),
})
export type Telemetry = z.output<typeof telemetrySchema>

/** Upper bounds in milliseconds of the latency histogram. */
export const LATENCY_BUCKETS_MS: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192,
]

/** Between these milliseconds a bucket's bounds are at most so many times apart. */
const FINE = { from: 0.25, to: 64, times: 1.15 }

/**
 * Every bound of `LATENCY_BUCKETS_MS`, and more between those in which a database answers: a p99 that has become 1.3
 * times what it was has to be told from one that has not.
 */
export const FINE_LATENCY_BUCKETS_MS: readonly number[] = LATENCY_BUCKETS_MS.flatMap((bound, i) => {
  const before = LATENCY_BUCKETS_MS[i - 1] ?? 0
  if (before < FINE.from || bound > FINE.to) return [bound]
  const parts = Math.ceil(Math.log(bound / before) / Math.log(FINE.times))
  const between = Array.from({ length: parts - 1 }, (_, j) => before * (bound / before) ** ((j + 1) / parts))
  return [...between, bound]
})

/** Answers of the server to a client's message. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: WireError }
export interface WireError {
  readonly code: string
  readonly message: string
  /** Whether trying again can help; where it cannot, the client says so and stops trying. */
  readonly retryable: boolean
}

export interface RegistrationAnswer {
  readonly snapshot: Snapshot
  readonly heartbeatMs: number
  readonly leaseMs: number
}
export interface HeartbeatAnswer {
  readonly revision: number
  readonly leaseMs: number
}

/** Socket events, client to server. Every one is answered through the callback. */
export interface ClientToServer {
  register: (body: Registration, answer: (result: Answer<RegistrationAnswer>) => void) => void
  heartbeat: (body: Heartbeat, answer: (result: Answer<HeartbeatAnswer>) => void) => void
  /** Positions that have just changed. */
  progress: (body: Heartbeat, answer: (result: Answer<null>) => void) => void
  sync: (answer: (result: Answer<Snapshot>) => void) => void
  telemetry: (body: Telemetry, answer: (result: Answer<null>) => void) => void
  goodbye: (body: Heartbeat, answer: (result: Answer<null>) => void) => void
}

/** Socket events, server to client. */
export interface ServerToClient {
  change: (body: Change) => void
  /** The instance was forgotten or taken over by another process: register again, or stop. */
  dismissed: (body: WireError) => void
}
