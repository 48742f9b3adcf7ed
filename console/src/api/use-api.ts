import { type UseQueryResult, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, useContext } from 'react'
import type { Answer, Call, Input, Operation } from './client.ts'

export const CallContext = createContext<Call | undefined>(undefined)

export function useCall(): Call {
  const call = useContext(CallContext)
  if (call === undefined) throw new Error('used outside of a session')
  return call
}

export interface ReadOptions {
  readonly enabled?: boolean
  /** Milliseconds between looks besides those that news causes; for what nobody announces. */
  readonly every?: number
}

/** Reads over the API and keeps what was read up to date: its key says what it is about. */
export function useRead<Key extends Operation>(
  operation: Key,
  input: Input<Key> = {},
  options: ReadOptions = {},
): UseQueryResult<Answer<Key>> {
  const call = useCall()
  return useQuery<Answer<Key>>({
    queryKey: keyOf(operation, input),
    queryFn: ({ signal }) => call(operation, input, signal),
    placeholderData: (before) => before,
    enabled: options.enabled ?? true,
    refetchInterval: options.every ?? false,
  })
}

export const keyOf = <Key extends Operation>(operation: Key, input: Input<Key> = {}) =>
  [operation, input.params ?? {}, input.query ?? {}] as const

/** Changes something over the API; whatever is shown is read again at once. */
export function useChange<Key extends Operation>(operation: Key) {
  const call = useCall()
  const client = useQueryClient()
  return useMutation<Answer<Key>, Error, Input<Key>>({
    mutationFn: (input) => call(operation, input),
    onSettled: () => {
      void client.invalidateQueries()
    },
  })
}
