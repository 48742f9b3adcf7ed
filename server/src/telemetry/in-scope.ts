import type { Telemetry } from '@switchback/migrations-registry'
import { inScope, type Scoped } from '../tokens/tokens.ts'

/**
 * What of a batch counts: a token that is for certain migrations says nothing about others, or it could have
 * them reverted.
 */
export const ownTelemetry = (sender: Scoped, batch: Telemetry): Telemetry =>
  sender.migrations === undefined
    ? batch
    : { ...batch, measurements: batch.measurements.filter(({ migration }) => inScope(sender, migration)) }
