import type { Path } from '@switchback/migrations-registry'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Lease } from '../session/lease.ts'
import type { MeasuredOperation } from '../telemetry/cell.ts'
import type { Recorder } from '../telemetry/recorder.ts'

/** One operation of a migration, with its types forgotten. */
export type Call = (key: unknown, args: readonly unknown[]) => Promise<unknown>

/** What the router needs of the world around it. */
export interface RouterEnv {
  /** Id of this instance: canaries are named by it. */
  readonly instance: string
  readonly clock: Clock
  /** 0 to 1, 1 excluded. */
  readonly random: () => number
  readonly log: Log
  readonly recorder: Recorder
  /** There only where the instance stops at the end of its lease. */
  readonly lease: Pick<Lease, 'expired' | 'heldSince'> | undefined
  /** Fetches the present state and waits, for a bounded time, for an epoch after this one. */
  newer(migration: string, epoch: number): Promise<boolean>
}

/** A write whose path that does not lead has failed. */
export interface SecondaryFailure {
  readonly migration: string
  readonly epoch: number
  readonly operation: MeasuredOperation
  readonly path: Path
  readonly key: string
  readonly error: unknown
  /** The key is durably queued for repair. False without transaction mode: somebody has to compare the paths. */
  readonly queued: boolean
}
