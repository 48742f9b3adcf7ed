import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useCall, useChange } from '../api/use-api.ts'
import { Standing } from '../migration/fleet-tab.tsx'
import { ReasonDialog } from '../migration/reason-dialog.tsx'
import { useSession } from '../session/session.tsx'
import { Nothing } from '../shell/page.tsx'
import { Button } from '../ui/button.tsx'
import { duration } from '../ui/format.ts'
import { Trouble } from '../ui/notice.tsx'
import { Ago, Left } from '../ui/time.tsx'
import { VirtualList } from '../ui/virtual-list.tsx'
import './fleet.css'

type Instance = Schema<'Instance'>
export type InstanceState = 'live' | 'lapsed' | 'behind' | undefined

const PAGE = 100
const LOOK_MS = 5_000
const CHOICES: readonly { readonly key: InstanceState; readonly name: string }[] = [
  { key: undefined, name: 'All' },
  { key: 'live', name: 'Live' },
  { key: 'behind', name: 'Behind' },
  { key: 'lapsed', name: 'Lapsed' },
]

export const StateChoice = (props: {
  readonly shown: InstanceState
  readonly onChoose: (state: InstanceState) => void
}) => (
  <fieldset className="choices">
    <legend className="hidden-text">Show instances</legend>
    {CHOICES.map(({ key, name }) => (
      <button key={name} type="button" aria-pressed={props.shown === key} onClick={() => props.onChoose(key)}>
        {name}
      </button>
    ))}
  </fieldset>
)

interface InstanceListProps {
  /** Of this one only, with its positions at its present epoch. */
  readonly migration?: string
  readonly epoch?: number
  readonly app?: string | undefined
  readonly state: InstanceState
  readonly search: string
}

/** Instances in pages, however many there are. */
export function InstanceList({ migration, epoch, app, state, search }: InstanceListProps) {
  const call = useCall()
  const [forgetting, setForgetting] = useState<string>()
  const query = { migration, app, state, search }
  const found = useInfiniteQuery({
    queryKey: ['GET /v1/instances', {}, query],
    queryFn: ({ pageParam, signal }) =>
      call('GET /v1/instances', { query: { ...query, after: pageParam, limit: PAGE } }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next,
    placeholderData: (before) => before,
    refetchInterval: LOOK_MS,
  })
  const instances = found.data?.pages.flatMap((page) => page.instances) ?? []
  if (found.data === undefined) return <Trouble error={found.error} />
  if (instances.length === 0) {
    return (
      <Nothing title="No instance like that">
        Instances appear as soon as an application connects with the SDK.
      </Nothing>
    )
  }
  return (
    <>
      <VirtualList
        items={instances}
        keyOf={({ id }) => id}
        estimate={54}
        total={instances.length}
        hasMore={found.hasNextPage}
        onMore={() => {
          if (!found.isFetchingNextPage) void found.fetchNextPage()
        }}
        render={(instance) => (
          <InstanceRow
            instance={instance}
            migration={migration}
            epoch={epoch}
            onForget={() => setForgetting(instance.id)}
          />
        )}
      />
      {forgetting !== undefined && <Forget id={forgetting} onClose={() => setForgetting(undefined)} />}
    </>
  )
}

interface InstanceRowProps {
  readonly instance: Instance
  readonly migration: string | undefined
  readonly epoch: number | undefined
  readonly onForget: () => void
}

function InstanceRow({ instance, migration, epoch, onForget }: InstanceRowProps) {
  const { whyNot } = useSession()
  const position = migration === undefined ? undefined : instance.migrations[migration]
  const count = Object.keys(instance.migrations).length
  return (
    <div className="instance">
      <div>
        <strong className="mono wrap-anywhere">{instance.id}</strong>
        <p className="tiny muted">
          {instance.app} {instance.version}
        </p>
      </div>
      <div className="small">
        {position === undefined ? (
          <>
            {count} {count === 1 ? 'migration' : 'migrations'}
          </>
        ) : (
          <>
            applied {position.applied}, drained {position.drained}
            <p className="tiny muted">
              handlers {position.handlers.join(' and ') || 'none'}
              {position.fenced && ', fenced'}
              {position.oldest !== undefined &&
                ` · a ${position.oldest.kind} runs for ${duration(position.oldest.ageMs)}`}
            </p>
          </>
        )}
      </div>
      <div className="small">
        {instance.live ? (
          <>
            lease <Left until={instance.leaseUntil} />
          </>
        ) : (
          <>
            not heard of since <Ago at={instance.lastSeen} />
          </>
        )}
        <p className="tiny muted wrap-anywhere">{instance.server}</p>
      </div>
      <Standing live={instance.live} drained={position === undefined || position.drained >= (epoch ?? 0)} />
      <Button
        compact
        kind="quiet"
        label={`Forget ${instance.id}`}
        whyNot={
          whyNot('administer') ?? (instance.live ? 'It is alive: it would only register again.' : undefined)
        }
        onPress={onForget}
      >
        Forget
      </Button>
    </div>
  )
}

function Forget({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  const forget = useChange('DELETE /v1/instances/{id}')
  return (
    <ReasonDialog
      title={`Forget ${id}`}
      about="The gate waits for it no longer. Do this only when it is certain that the process is gone: its writes are stopped by the fence, its reads are not."
      reason="The machine is gone"
      verb="Forget it"
      danger
      busy={forget.isPending}
      error={forget.error}
      onClose={onClose}
      onConfirm={(reason) => forget.mutate({ params: { id }, body: { reason } }, { onSuccess: onClose })}
    />
  )
}
