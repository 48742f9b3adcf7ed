import { useState } from 'react'
import { useChange } from '../api/use-api.ts'
import { RevertButton } from '../revert/revert-provider.tsx'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { useToast } from '../ui/toasts.tsx'
import { AdvanceDialog } from './advance-dialog.tsx'
import type { Detail } from './migration-page.tsx'
import { ReasonDialog } from './reason-dialog.tsx'
import { RolloutDialog } from './rollout-dialog.tsx'

type Open = 'advance' | 'rollout' | 'rearm' | 'restore' | undefined

/** What can be done from here. Revert comes first, always. */
export function Actions({ migration }: { readonly migration: Detail }) {
  const { id, state, gate } = migration
  const { whyNot, me } = useSession()
  const [open, setOpen] = useState<Open>()
  const close = () => setOpen(undefined)
  const say = useToast()
  const pause = useChange('POST /v1/migrations/{id}/pause')
  const resume = useChange('POST /v1/migrations/{id}/resume')
  const retry = useChange('POST /v1/migrations/{id}/retry')
  const approve = useChange('POST /v1/migrations/{id}/approve')
  const rearm = useChange('POST /v1/migrations/{id}/rearm')
  const restore = useChange('POST /v1/migrations/{id}/restore')
  const params = { params: { id } }
  const told = (text: string) => ({
    onSuccess: () => say(text),
    onError: (error: Error) => say(`Refused: ${error.message}`),
  })
  const done = (text: string) => ({
    onSuccess: () => {
      say(text)
      close()
    },
  })
  const mayOperate = whyNot('operate')
  const forceable = gate.blockers.length > 0 && gate.blockers.every((blocker) => blocker.forceable)
  const closed =
    gate.open || (forceable && whyNot('administer') === undefined) ? undefined : closedWords(migration)
  const wantsApproval =
    state.phase === 'retired' || gate.blockers.some(({ code }) => code === 'approvals-missing')
  const approved = state.approvals.some(
    ({ by, person }) => by === me.name || (me.person !== undefined && person === me.person),
  )

  return (
    <div className="migration-actions">
      <RevertButton
        migration={id}
        phase={state.phase}
        revertsTo={revertsTo(migration)}
        underWay={state.work?.kind === 'expand'}
        strong
      />
      {state.latch !== undefined && (
        <Button icon="latch" whyNot={mayOperate} onPress={() => setOpen('rearm')}>
          Re-arm
        </Button>
      )}
      {state.work?.status === 'failed' && (
        <Button
          icon="retry"
          busy={retry.isPending}
          whyNot={mayOperate}
          onPress={() => retry.mutate(params, told(`${state.work?.kind} starts again.`))}
        >
          Retry {state.work.kind}
        </Button>
      )}
      {wantsApproval && (
        <Button
          icon="approve"
          busy={approve.isPending}
          whyNot={whyNot('approve') ?? (approved ? 'You have approved it already.' : undefined)}
          onPress={() => approve.mutate(params, told('Contract is approved.'))}
        >
          Approve contract
        </Button>
      )}
      {state.phase === 'contracted' && (
        <Button icon="back" whyNot={whyNot('approve')} onPress={() => setOpen('restore')}>
          Restore
        </Button>
      )}
      {state.phase === 'ramp' && (
        <Button icon="people" whyNot={mayOperate} onPress={() => setOpen('rollout')}>
          Rollout
        </Button>
      )}
      {state.paused ? (
        <Button
          icon="play"
          busy={resume.isPending}
          whyNot={mayOperate}
          onPress={() => resume.mutate(params, told('It goes on.'))}
        >
          Resume
        </Button>
      ) : (
        <Button
          icon="pause"
          busy={pause.isPending}
          whyNot={mayOperate ?? (gate.next.kind === 'none' ? 'There is nothing left to pause.' : undefined)}
          onPress={() => pause.mutate(params, told('Paused: nothing is copied, and nothing advances.'))}
        >
          Pause
        </Button>
      )}
      <Button kind="primary" icon="forward" whyNot={mayOperate ?? closed} onPress={() => setOpen('advance')}>
        Advance
      </Button>
      {open === 'advance' && <AdvanceDialog migration={migration} onClose={close} />}
      {open === 'rollout' && <RolloutDialog migration={migration} onClose={close} />}
      {open === 'rearm' && (
        <ReasonDialog
          title={`Re-arm ${id}`}
          about="Takes off the latch and resolves its incident. From then on alerts can revert it again, and it can advance."
          reason="The cause is found and removed"
          verb="Re-arm"
          error={rearm.error}
          busy={rearm.isPending}
          onClose={close}
          onConfirm={(reason) => rearm.mutate({ ...params, body: { reason } }, done('Re-armed.'))}
        />
      )}
      {open === 'restore' && (
        <ReasonDialog
          title={`Restore ${id}`}
          about="Brings back from the archive what contract dropped, and checks it against its checksums. Afterwards it stands at retired."
          verb="Restore"
          error={restore.error}
          busy={restore.isPending}
          onClose={close}
          onConfirm={() => restore.mutate(params, done('The restore has begun.'))}
        />
      )}
    </div>
  )
}

/** A word about what keeps the gate closed, for the button that cannot be pressed. */
function closedWords({ gate }: Detail): string {
  const [first, ...others] = gate.blockers
  if (first === undefined) return 'There is nothing further to do.'
  return others.length === 0 ? first.message : `${first.message} And ${others.length} more.`
}

const BACK = {
  planned: undefined,
  expanded: 'planned',
  'dual-write': 'expanded',
  backfill: 'dual-write',
  shadow: 'dual-write',
  ramp: 'dual-write',
  promoted: 'dual-write',
  retired: 'promoted',
  contracted: undefined,
} as const

export const revertsTo = ({ state }: Detail) => BACK[state.phase]
