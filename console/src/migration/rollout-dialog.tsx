import { useState } from 'react'
import { useChange } from '../api/use-api.ts'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Trouble } from '../ui/notice.tsx'
import { useToast } from '../ui/toasts.tsx'
import type { Detail } from './migration-page.tsx'
import { shareWords } from './words.ts'

const SHARES = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1] as const

/** Sets the share of keys that new serves, apart from the planned steps. */
export function RolloutDialog({
  migration,
  onClose,
}: {
  readonly migration: Detail
  readonly onClose: () => void
}) {
  const { id, state, fleet } = migration
  const [text, setText] = useState(String(state.rollout.share * 100))
  const rollout = useChange('POST /v1/migrations/{id}/rollout')
  const say = useToast()
  const share = Number(text.replace(',', '.')) / 100
  const valid = text.trim() !== '' && share >= 0 && share <= 1
  return (
    <Dialog open onClose={onClose} title={`Rollout of ${id}`}>
      <p className="second">
        The same keys are served from new on every instance; a smaller share takes the last ones off first.
        Now {shareWords(state.rollout.share)}, {fleet.live} live instances.
      </p>
      <label className="field">
        <span>Share of keys served from new, in %</span>
        <input
          className="input"
          inputMode="decimal"
          value={text}
          aria-invalid={!valid}
          onChange={(event) => setText(event.target.value)}
        />
      </label>
      <div className="row">
        {SHARES.map((each) => (
          <Button key={each} compact onPress={() => setText(String(each * 100))}>
            {shareWords(each)}
          </Button>
        ))}
      </div>
      <Trouble error={rollout.error} />
      <div className="actions">
        <Button onPress={onClose}>Cancel</Button>
        <Button
          kind="primary"
          busy={rollout.isPending}
          whyNot={valid ? undefined : 'Give a share from 0 to 100 %.'}
          onPress={() =>
            rollout.mutate(
              { params: { id }, body: { share } },
              {
                onSuccess: () => {
                  say(`${shareWords(share)} of keys are served from new.`)
                  onClose()
                },
              },
            )
          }
        >
          Set {valid ? shareWords(share) : ''}
        </Button>
      </div>
    </Dialog>
  )
}
