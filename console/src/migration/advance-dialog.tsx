import { useState } from 'react'
import { useChange, useRead } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { useToast } from '../ui/toasts.tsx'
import type { Detail } from './migration-page.tsx'
import { nextWords } from './words.ts'

const ONE_WAY: Readonly<Record<string, string>> = {
  retired:
    'From there old is written no more: the way back takes a reverse backfill, and no alert takes it by itself.',
  contracted:
    'What goes is archived, read back, and then dropped: the way back is a restore from the archive.',
}

/** What the next step means, before it is taken; with blockers that an admin may pass over. */
export function AdvanceDialog({
  migration,
  onClose,
}: {
  readonly migration: Detail
  readonly onClose: () => void
}) {
  const { id, gate } = migration
  // Of when it was opened: what it says of the next step is about that.
  const [epoch] = useState(migration.state.epoch)
  const { data } = useRead('GET /v1/phases')
  const { whyNot } = useSession()
  const advance = useChange('POST /v1/migrations/{id}/advance')
  const say = useToast()
  const [reason, setReason] = useState('')
  const codes = [...new Set(gate.blockers.map(({ code }) => code))]
  const { next } = gate
  const to = next.kind === 'rollout' ? 'ramp' : next.kind === 'none' ? undefined : next.to
  const row = data?.phases.find(({ phase }) => phase === to)
  const forced = codes.length > 0
  const mayForce = whyNot('administer')
  return (
    <Dialog open onClose={onClose} title={`Advance ${id}`}>
      <p>
        Next: <strong>{nextWords(next)}</strong>. {row?.meaning}
      </p>
      {to !== undefined && ONE_WAY[to] !== undefined && (
        <Notice tone="warn" title="The way back gets longer">
          {ONE_WAY[to]}
        </Notice>
      )}
      {forced && (
        <>
          <Notice tone="warn" title="The gate is closed">
            <ul>
              {gate.blockers.map((blocker) => (
                <li key={`${blocker.code} ${blocker.subject}`}>{blocker.message}</li>
              ))}
            </ul>
          </Notice>
          <label className="field">
            <span>Why it is passed over all the same</span>
            <textarea className="input" value={reason} onChange={(event) => setReason(event.target.value)} />
          </label>
        </>
      )}
      <Trouble error={advance.error} />
      <div className="actions">
        <Button onPress={onClose}>Cancel</Button>
        <Button
          kind="primary"
          icon="forward"
          busy={advance.isPending}
          whyNot={forced ? (mayForce ?? (reason.trim() === '' ? 'Say why first.' : undefined)) : undefined}
          onPress={() =>
            advance.mutate(
              { params: { id }, body: { epoch, ...(forced ? { force: codes, reason: reason.trim() } : {}) } },
              {
                onSuccess: ({ state }) => {
                  const { work } = state
                  say(
                    work === undefined || work.status === 'done'
                      ? `${id} stands at ${state.phase}, epoch ${state.epoch}.`
                      : `${work.kind} has begun.`,
                  )
                  onClose()
                },
              },
            )
          }
        >
          {forced ? 'Pass over and advance' : 'Advance'}
        </Button>
      </div>
    </Dialog>
  )
}
