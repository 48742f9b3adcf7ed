import type { Telemetry } from '@switchback/migrations-registry'
import { inScope, type Principal } from '../tokens/tokens.ts'

/**
 * What of a batch counts: a token that is for certain migrations says nothing about others, or it could have
 * them reverted.
 */
export const ownTelemetry = (sender: Pick<Principal, 'migrations'>, batch: Telemetry): Telemetry =>
  sender.migrations === undefined
    ? batch
    : { ...batch, measurements: batch.measurements.filter(({ migration }) => inScope(sender, migration)) }
