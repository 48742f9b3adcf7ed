import { useMutation } from '@tanstack/react-query'
import { useCall } from '../api/use-api.ts'

/** Has the whole chain walked; asked for by a person, since it reads every entry there is. */
export function useVerify() {
  const call = useCall()
  const { mutate, ...rest } = useMutation({ mutationFn: () => call('GET /v1/audit/verify') })
  return { ...rest, run: () => mutate() }
}
