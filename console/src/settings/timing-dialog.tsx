import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useChange } from '../api/use-api.ts'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { FormEnd } from '../ui/form-end.tsx'
import { useToast } from '../ui/toasts.tsx'

type Target = Schema<'TargetTiming'>

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
const setTexts = (of: Target['windows'] | Target['freezes']): string =>
  of.flatMap(({ text, from }) => (from === 'set' ? [text] : [])).join('\n')

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
const DAY_MS = 86_400_000
/** In the time zone of whoever looks. */
const dayAt = (at: number): string => new Intl.DateTimeFormat('en-CA').format(at)

/** Windows and freezes that hold beside those of the configuration, one on each line. */
export function TimingDialog({ target, onClose }: { readonly target: Target; readonly onClose: () => void }) {
  const { name } = target
  const [windows, setWindows] = useState(() => setTexts(target.windows))
  const [freezes, setFreezes] = useState(() => setTexts(target.freezes))
  const [reason, setReason] = useState('')
  const change = useChange('PUT /v1/targets/{name}/timing')
  const say = useToast()
  const freezeNow = (days: number) => {
    const now = Date.now()
    setFreezes((text) =>
      [...lines(text), `${dayAt(now)}..${dayAt(now + (days - 1) * DAY_MS)} ${zone}`].join('\n'),
    )
  }
  return (
    <Dialog open onClose={onClose} title={`Windows and freezes of ${name}`}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          change.mutate(
            {
              params: { name },
              body: { windows: lines(windows), freezes: lines(freezes), reason: reason.trim() },
            },
            {
              onSuccess: () => {
                say(`It holds for ${name} from now on.`)
                onClose()
              },
            },
          )
        }}
      >
        <p className="second">What the configuration says stays as it is; this holds beside it.</p>
        <label className="field">
          <span>Freezes, one on each line</span>
          <textarea
            className="input mono"
            value={freezes}
            placeholder={`2026-12-20..2027-01-03 ${zone}`}
            onChange={(event) => setFreezes(event.target.value)}
          />
        </label>
        <div className="row">
          <span className="small second">From today on:</span>
          {[
            { days: 1, words: 'today' },
            { days: 3, words: '3 days' },
            { days: 7, words: 'a week' },
          ].map(({ days, words }) => (
            <Button
              key={days}
              compact
              label={`Freeze from today on: ${words}`}
              onPress={() => freezeNow(days)}
            >
              {words}
            </Button>
          ))}
        </div>
        <label className="field">
          <span>Windows, one on each line</span>
          <textarea
            className="input mono"
            value={windows}
            placeholder={`Sun 02:00-05:00 ${zone}`}
            onChange={(event) => setWindows(event.target.value)}
          />
        </label>
        <label className="field">
          <span>Reason</span>
          <input
            className="input"
            value={reason}
            maxLength={1000}
            onChange={(event) => setReason(event.target.value)}
          />
        </label>
        <FormEnd
          verb="Set"
          busy={change.isPending}
          whyNot={reason.trim() === '' ? 'Say why first.' : undefined}
          error={change.error}
          onClose={onClose}
        />
      </form>
    </Dialog>
  )
}
