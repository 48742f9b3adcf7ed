import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useChange, useRead } from '../api/use-api.ts'
import { type Phase, readsOf, WRITES } from '../migration/words.ts'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { duration } from '../ui/format.ts'
import { Icon } from '../ui/icon.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { useToast } from '../ui/toasts.tsx'
import './revert.css'

interface RevertDialogProps {
  readonly migration: string
  readonly phase: Phase
  readonly revertsTo: Phase | undefined
  readonly onClose: () => void
}

const REASONS = ['Errors on the new path', 'Slow on the new path', 'Wrong or missing data', 'Support tickets']

/** The one confirmation: where it leads, what it does, how long it takes. It never waits for that answer. */
export function RevertDialog({ migration, phase, revertsTo, onClose }: RevertDialogProps) {
  const [to, setTo] = useState<Phase | undefined>()
  const [reason, setReason] = useState('Reverted by hand from the console')
  const ahead = useRead('GET /v1/migrations/{id}/way-back', { params: { id: migration }, query: { to } })
  const revert = useChange('POST /v1/migrations/{id}/revert')
  const say = useToast()
  const way = ahead.data
  const target = to ?? (way?.possible === true ? way.target : revertsTo)

  const confirm = () =>
    revert.mutate(
      { params: { id: migration }, body: { reason: reason.trim(), ...(to === undefined ? {} : { to }) } },
      {
        onSuccess: ({ state }) => {
          say(
            `${migration} stands at ${state.phase}, epoch ${state.epoch}. Latched until somebody re-arms it.`,
          )
          onClose()
        },
      },
    )

  return (
    <Dialog open onClose={onClose} title={`Revert ${migration}`} tone="danger">
      <div className="revert-way">
        <span>
          <span className="tiny muted">from</span>
          <strong>{way?.from.phase ?? phase}</strong>
        </span>
        <Icon name="back" size={20} />
        <span>
          <span className="tiny muted">to</span>
          <strong>{target ?? 'where it was'}</strong>
        </span>
      </div>
      {way?.possible === false ? (
        <Notice tone="warn" title={way.refusal.message}>
          {way.refusal.action}
        </Notice>
      ) : (
        <WayBackFacts way={way} />
      )}
      {way !== undefined && way.choices.length > 1 && (
        <label className="field">
          <span>How far back</span>
          <select
            className="input"
            value={to ?? way.choices.at(-1)}
            onChange={(event) => setTo(event.target.value as Phase)}
          >
            {[...way.choices].reverse().map((choice) => (
              <option key={choice}>{choice}</option>
            ))}
          </select>
        </label>
      )}
      <label className="field">
        <span>Reason, for the audit log and the incident</span>
        <textarea
          className="input"
          value={reason}
          maxLength={1000}
          aria-invalid={reason.trim() === ''}
          onChange={(event) => setReason(event.target.value)}
        />
      </label>
      <div className="row">
        {REASONS.map((each) => (
          <Button key={each} compact onPress={() => setReason(each)}>
            {each}
          </Button>
        ))}
      </div>
      <Trouble error={revert.error} />
      <div className="actions">
        <Button onPress={onClose}>Leave it as it is</Button>
        <Button
          kind="danger"
          icon="revert"
          busy={revert.isPending}
          whyNot={reason.trim() === '' ? 'Say why first.' : undefined}
          onPress={confirm}
        >
          {revert.isPending ? 'Reverting…' : `Revert to ${target ?? 'where it was'}`}
        </Button>
      </div>
    </Dialog>
  )
}

/** What it does, and how long it takes. */
function WayBackFacts({ way }: { readonly way: Schema<'WayBack'> | undefined }) {
  if (way?.possible !== true) {
    return <p className="second">The flags go back with one commit and a push; nobody is waited for.</p>
  }
  return (
    <dl className="facts revert-facts">
      <dt>Reads</dt>
      <dd>{way.waits ? 'as now, until it is safe' : readsOf(way.flags.read)}</dd>
      <dt>Writes</dt>
      <dd>{way.waits ? 'as now, until it is safe' : WRITES[way.flags.write]}</dd>
      <dt>Takes</dt>
      <dd>
        {way.takes}
        {way.likelyMs !== undefined && ` Last time: ${duration(way.likelyMs)}.`}
      </dd>
      {way.at !== way.target && way.work === undefined && (
        <>
          <dt>Then</dt>
          <dd>On to {way.target} by itself, as soon as every instance has drained what it began before.</dd>
        </>
      )}
      <dt>After</dt>
      <dd>Latched: nothing advances until somebody re-arms it. An incident is opened.</dd>
    </dl>
  )
}
