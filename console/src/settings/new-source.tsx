import { useState } from 'react'
import { useChange } from '../api/use-api.ts'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { FormEnd } from '../ui/form-end.tsx'
import { Notice } from '../ui/notice.tsx'
import { SourceHow } from './source-how.tsx'
import { KINDS, SET_UP, type SourceKind } from './source-setup.ts'

export const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '')

/** Registers an alerting system, and says what to paste there. */
export function NewSource({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState('')
  const [kind, setKind] = useState<SourceKind>('alertmanager')
  const [migrations, setMigrations] = useState('')
  const [secret, setSecret] = useState('')
  const [topics, setTopics] = useState('')
  const create = useChange('POST /v1/alert-sources')
  if (create.data !== undefined) {
    const { data } = create
    return (
      <Dialog open wide onClose={onClose} title={`${data.name} may deliver`}>
        {data.secret !== undefined && (
          <Notice tone="warn" title="The secret is shown this once only">
            Paste it now; a new one can be made at any time, and both are good until the older is ended.
          </Notice>
        )}
        <SourceHow kind={data.kind} path={data.path} secret={data.secret} />
        <div className="actions">
          <Button kind="primary" onPress={onClose}>
            It is set up
          </Button>
        </div>
      </Dialog>
    )
  }
  const set = SET_UP[kind]
  const scope = words(migrations)
  return (
    <Dialog open onClose={onClose} title="New alert source">
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          create.mutate({
            body: {
              name: name.trim(),
              kind,
              ...(scope.length === 0 ? {} : { migrations: scope }),
              ...(set.secret === 'theirs' && secret !== '' ? { secret } : {}),
              ...(kind === 'cloudwatch' ? { topics: words(topics) } : {}),
            },
          })
        }}
      >
        <div className="pair">
          <label className="field">
            <span>System</span>
            <select
              className="input"
              value={kind}
              onChange={(event) => setKind(event.target.value as SourceKind)}
            >
              {KINDS.map((each) => (
                <option key={each} value={each}>
                  {SET_UP[each].name}
                </option>
              ))}
            </select>
          </label>
          <label className="field">
            <span>Name, part of its address</span>
            <input
              className="input"
              value={name}
              placeholder={`${kind}-prod`}
              onChange={(event) => setName(event.target.value)}
            />
          </label>
        </div>
        <p className="small second">{set.where}</p>
        {set.secret === 'theirs' && (
          <label className="field">
            <span>The secret that {set.name} shows</span>
            <input
              className="input mono"
              type="password"
              autoComplete="off"
              value={secret}
              onChange={(event) => setSecret(event.target.value)}
            />
          </label>
        )}
        {kind === 'cloudwatch' && (
          <label className="field">
            <span>Topics that are believed, by their ARN</span>
            <textarea
              className="input mono"
              value={topics}
              placeholder="arn:aws:sns:ap-south-1:123456789012:alarms"
              onChange={(event) => setTopics(event.target.value)}
            />
          </label>
        )}
        <label className="field">
          <span>May speak for these migrations only; for all where left empty</span>
          <input
            className="input"
            value={migrations}
            placeholder="user-profiles, trip-receipts"
            onChange={(event) => setMigrations(event.target.value)}
          />
        </label>
        <FormEnd
          verb="Register"
          busy={create.isPending}
          whyNot={name.trim() === '' ? 'Give it a name first.' : undefined}
          error={create.error}
          onClose={onClose}
        />
      </form>
    </Dialog>
  )
}
