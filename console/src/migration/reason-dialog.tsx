import { useState } from 'react'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Trouble } from '../ui/notice.tsx'

interface ReasonDialogProps {
  readonly title: string
  readonly about: string
  /** What stands in the field at first; no field where it is not given. */
  readonly reason?: string
  readonly verb: string
  readonly danger?: boolean
  readonly busy: boolean
  readonly error: unknown
  readonly onClose: () => void
  readonly onConfirm: (reason: string) => void
}

/** Asks once more, and why. */
export function ReasonDialog(props: ReasonDialogProps) {
  const { title, about, verb, danger = false, busy, error, onClose, onConfirm } = props
  const [reason, setReason] = useState(props.reason ?? '')
  const asks = props.reason !== undefined
  return (
    <Dialog open onClose={onClose} title={title} tone={danger ? 'danger' : 'plain'}>
      <p className="second">{about}</p>
      {asks && (
        <label className="field">
          <span>Reason</span>
          <textarea
            className="input"
            value={reason}
            maxLength={1000}
            onChange={(event) => setReason(event.target.value)}
          />
        </label>
      )}
      <Trouble error={error} />
      <div className="actions">
        <Button onPress={onClose}>Cancel</Button>
        <Button
          kind={danger ? 'danger' : 'primary'}
          busy={busy}
          whyNot={asks && reason.trim() === '' ? 'Say why first.' : undefined}
          onPress={() => onConfirm(reason.trim())}
        >
          {verb}
        </Button>
      </div>
    </Dialog>
  )
}
