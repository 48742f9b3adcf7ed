import { useState } from 'react'
import type { Input } from '../api/client.ts'
import { useChange } from '../api/use-api.ts'
import { Dialog } from '../ui/dialog.tsx'
import { FormEnd } from '../ui/form-end.tsx'
import { useToast } from '../ui/toasts.tsx'
import { LIMITS, type LimitName, limitNow, limitText } from './limits.ts'
import type { Detail } from './migration-page.tsx'
import { definedThrottle } from './throttle-card.tsx'

type Change = NonNullable<Input<'POST /v1/migrations/{id}/throttle'>['body']>
type Texts = Readonly<Record<LimitName, string>>

/** Changes limits, also while copying runs: the workers ask before each chunk. */
export function ThrottleDialog({
  migration,
  onClose,
}: {
  readonly migration: Detail
  readonly onClose: () => void
}) {
  const { id, state } = migration
  const before = textsOf(migration)
  const [texts, setTexts] = useState(before)
  const throttle = useChange('POST /v1/migrations/{id}/throttle')
  const say = useToast()
  const changed = LIMITS.filter(({ name }) => texts[name].trim() !== before[name])
  const working = state.work?.status === 'running'
  return (
    <Dialog open onClose={onClose} title={`Limits of ${id}`}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          throttle.mutate(
            { params: { id }, body: changeOf(changed, texts) },
            {
              onSuccess: () => {
                say('The limits hold from the next chunk on.')
                onClose()
              },
            },
          )
        }}
      >
        <p className="second">
          Above any of them copying and comparing wait
          {working && '; those at work go by it from their next chunk on'}. An empty field is no limit. A
          limit whose signal cannot be read holds back too.
        </p>
        <div className="limit-fields">
          {LIMITS.map(({ name, words, kind, example }) =>
            kind === 'switch' ? (
              <label key={name} className="check">
                <input
                  type="checkbox"
                  checked={texts[name] === 'true'}
                  onChange={(event) =>
                    setTexts({ ...texts, [name]: event.target.checked ? 'true' : 'false' })
                  }
                />
                <span>{words}</span>
              </label>
            ) : (
              <label key={name} className="field">
                <span>{words}</span>
                <input
                  className="input"
                  placeholder={`such as ${example}`}
                  value={texts[name]}
                  onChange={(event) => setTexts({ ...texts, [name]: event.target.value })}
                />
              </label>
            ),
          )}
        </div>
        <FormEnd
          verb="Set"
          busy={throttle.isPending}
          whyNot={changed.length === 0 ? 'Nothing is changed yet.' : undefined}
          error={throttle.error}
          onClose={onClose}
        />
      </form>
    </Dialog>
  )
}

const textsOf = (migration: Detail): Texts =>
  Object.fromEntries(
    LIMITS.map(({ name, kind }) => {
      const { value } = limitNow(name, definedThrottle(migration), migration.state.throttle)
      const none = kind === 'switch' ? 'false' : ''
      return [name, value === undefined ? none : limitText(kind, value)]
    }),
  ) as Record<LimitName, string>

/** What is typed, as the server takes it: what it thinks of a text, it says itself. */
function changeOf(changed: typeof LIMITS, texts: Texts): Change {
  const all = changed.map(({ name, kind }) => {
    const text = texts[name].trim()
    if (kind === 'switch') return [name, text === 'true' ? true : null] as const
    if (text === '') return [name, null] as const
    return [name, kind === 'count' && /^\d+(\.\d+)?$/.test(text) ? Number(text) : text] as const
  })
  return Object.fromEntries(all) as Change
}
