import { useState } from 'react'
import { useChange } from '../api/use-api.ts'
import { ReasonDialog } from '../migration/reason-dialog.tsx'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { Trouble } from '../ui/notice.tsx'
import { useToast } from '../ui/toasts.tsx'
import { bodyOf, formOf, type StoredFlag } from './flag-form.ts'

const value = (of: unknown): string => (typeof of === 'string' ? of : JSON.stringify(of))

function rule({ when, share, variant }: StoredFlag['rules'][number]): string {
  const who = when === undefined ? 'everybody' : `${when.attribute} in ${when.in.join(', ')}`
  return `${who}${share === undefined ? '' : `, ${share * 100} % of keys`}: ${variant}`
}

interface FlagItemProps {
  readonly flag: StoredFlag
  readonly onChoose: (key: string) => void
  readonly onEdit: () => void
}

export function FlagItem({ flag, onChoose, onEdit }: FlagItemProps) {
  const { whyNot } = useSession()
  const replace = useChange('PUT /v1/flags/{key}')
  const { key, description, enabled, variants, defaultVariant, offVariant, rules, requires } = flag
  const remove = useChange('DELETE /v1/flags/{key}')
  const [removing, setRemoving] = useState(false)
  const say = useToast()
  const mayNot = whyNot('operate')
  const turn = () => replace.mutate({ params: { key }, body: { ...bodyOf(formOf(flag)), enabled: !enabled } })
  return (
    <article className="flag">
      <div className="spread">
        <button type="button" className="link" onClick={() => onChoose(key)}>
          {key}
        </button>
        <span className="row">
          <Chip tone={enabled ? 'ok' : 'idle'} icon={enabled ? 'check' : 'pause'}>
            {enabled ? 'On' : 'Off'}
          </Chip>
          <Button
            compact
            busy={replace.isPending}
            whyNot={mayNot}
            label={`Turn ${key} ${enabled ? 'off' : 'on'}`}
            onPress={turn}
          >
            Turn {enabled ? 'off' : 'on'}
          </Button>
          <Button compact icon="edit" whyNot={mayNot} label={`Change ${key}`} onPress={onEdit} />
          <Button
            compact
            icon="bin"
            whyNot={mayNot}
            label={`Remove ${key}`}
            onPress={() => setRemoving(true)}
          />
        </span>
      </div>
      {description !== '' && <p className="small second">{description}</p>}
      <p className="small">
        {Object.entries(variants).map(([name, of]) => (
          <span key={name} className="variant">
            <strong>{name}</strong> <code>{value(of)}</code>
            {name === defaultVariant && ' by default'}
            {name === offVariant && ' when off'}
          </span>
        ))}
      </p>
      {rules.length > 0 && (
        <ol className="small second">
          {rules.map((each) => (
            <li key={rule(each)}>{rule(each)}</li>
          ))}
        </ol>
      )}
      {requires !== undefined && (
        <p className="small second">
          Needs {requires.migration} at {requires.phase} or later.
        </p>
      )}
      <Trouble error={replace.error} />
      {removing && (
        <ReasonDialog
          title={`Remove ${key}`}
          about="Whoever asks for it gets the default of its own code from then on. It cannot be taken back."
          verb="Remove"
          danger
          busy={remove.isPending}
          error={remove.error}
          onClose={() => setRemoving(false)}
          onConfirm={() =>
            remove.mutate(
              { params: { key } },
              {
                onSuccess: () => {
                  say(`${key} is removed.`)
                  setRemoving(false)
                },
              },
            )
          }
        />
      )}
    </article>
  )
}
