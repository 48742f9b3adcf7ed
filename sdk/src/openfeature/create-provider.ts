import {
  ErrorCode,
  type JsonValue,
  type EvaluationContext as OpenFeatureContext,
  OpenFeatureEventEmitter,
  type Provider,
  ProviderEvents,
  ProviderNotReadyError,
  type ResolutionDetails,
} from '@openfeature/server-sdk'
import type { Evaluation, EvaluationContext } from '@switchback/migrations-registry'
import type { ClientListener } from '../client/client.ts'
import { type Clock, systemClock } from '../clock.ts'

/** Longer than the longest pause between two attempts to connect and the attempt itself: a shorter one tells of
 *  errors that are none. */
const GRACE_MS = 45_000

/** What the provider needs of a client. */
export interface EvaluatingClient {
  evaluate(key: string, context?: EvaluationContext): Evaluation
  subscribe(listener: ClientListener): () => void
  status(): { readonly connected: boolean; readonly revision: number }
}

export interface ProviderOptions {
  /** How long after a lost connection ERROR is emitted; STALE is at once. Default 45000 ms. */
  readonly graceMs?: number
  readonly clock?: Clock
}

/**
 * An OpenFeature provider over a client: ordinary flags, `<migration>.read|write|backfill`, and aliases.
 *
 * Without a connection it goes on with the last state: STALE at once, ERROR after the grace period. Shutting it
 * down does not close the client, which the application owns.
 *
 * @example
 * await OpenFeature.setProviderAndWait(createProvider(switchback))
 */
export function createProvider(client: EvaluatingClient, options: ProviderOptions = {}): Provider {
  const clock = options.clock ?? systemClock
  const events = new OpenFeatureEventEmitter()
  let unsubscribe: (() => void) | undefined
  let cancel: (() => void) | undefined

  const disconnected = (): void => {
    events.emit(ProviderEvents.Stale, {
      message: 'Not connected to Switchback; serving the last known state.',
    })
    cancel?.()
    cancel = clock.after(options.graceMs ?? GRACE_MS, () =>
      events.emit(ProviderEvents.Error, {
        errorCode: ErrorCode.GENERAL,
        message: 'Switchback could not be reached for longer than the grace period.',
      }),
    )
  }

  const listen = (): void => {
    unsubscribe ??= client.subscribe({
      changed: (flagsChanged) =>
        events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: [...flagsChanged] }),
      connection: (connected) => {
        cancel?.()
        if (connected) events.emit(ProviderEvents.Ready)
        else disconnected()
      },
    })
  }

  const resolve = async <T>(
    key: string,
    fallback: T,
    context: OpenFeatureContext,
    fits: (value: unknown) => value is T,
  ): Promise<ResolutionDetails<T>> => {
    const { value, variant, reason, errorCode, errorMessage, metadata } = client.evaluate(key, context)
    const common = {
      ...(variant === undefined ? {} : { variant }),
      ...(metadata === undefined ? {} : { flagMetadata: metadata }),
    }
    if (reason === 'ERROR') {
      // Nothing was ever heard of any flag: that this one is unknown says nothing.
      const notReady = errorCode === 'FLAG_NOT_FOUND' && client.status().revision < 0
      return {
        ...common,
        value: fallback,
        reason,
        errorCode: notReady ? ErrorCode.PROVIDER_NOT_READY : ErrorCode[errorCode ?? 'GENERAL'],
        errorMessage: notReady
          ? 'No state has been received yet.'
          : (errorMessage ?? 'The flag could not be evaluated.'),
      }
    }
    if (!fits(value)) {
      return {
        ...common,
        value: fallback,
        reason: 'ERROR',
        errorCode: ErrorCode.TYPE_MISMATCH,
        errorMessage: `${key} is of type ${typeof value}, not ${typeof fallback}.`,
      }
    }
    return { ...common, value, reason }
  }

  return {
    metadata: { name: 'switchback' },
    runsOn: 'server',
    events,
    initialize: async () => {
      listen()
      const { connected, revision } = client.status()
      if (connected) return
      if (revision < 0)
        throw new ProviderNotReadyError(
          'Switchback has not been reached yet, and there is no state to start with.',
        )
      // After READY, which the OpenFeature SDK emits when this resolves.
      clock.after(0, disconnected)
    },
    onClose: async () => {
      cancel?.()
      unsubscribe?.()
      unsubscribe = undefined
    },
    resolveBooleanEvaluation: (key, fallback, context) =>
      resolve(key, fallback, context, (value): value is boolean => typeof value === 'boolean'),
    resolveStringEvaluation: (key, fallback, context) =>
      resolve(key, fallback, context, (value): value is string => typeof value === 'string'),
    resolveNumberEvaluation: (key, fallback, context) =>
      resolve(key, fallback, context, (value): value is number => typeof value === 'number'),
    // The wire carries objects as JSON; of which shape is the caller's word, as with every provider.
    resolveObjectEvaluation: <T extends JsonValue>(key: string, fallback: T, context: OpenFeatureContext) =>
      resolve(key, fallback, context, (value): value is T => typeof value === 'object' && value !== null),
  }
}
