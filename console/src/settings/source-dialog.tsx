import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useChange } from '../api/use-api.ts'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { Moment } from '../ui/time.tsx'
import { SourceHow } from './source-how.tsx'
import { SET_UP } from './source-setup.ts'

/** How a source is set up over there; its secrets changed one after the other; its end. */
export function SourceDialog({
  source,
  onClose,
}: {
  readonly source: Schema<'AlertSource'>
  readonly onClose: () => void
}) {
  const { name, kind, path, secrets } = source
  const [ending, setEnding] = useState(false)
  const [theirs, setTheirs] = useState('')
  const add = useChange('POST /v1/alert-sources/{name}/secrets')
  const remove = useChange('DELETE /v1/alert-sources/{name}/secrets/{secret}')
  const revoke = useChange('DELETE /v1/alert-sources/{name}')
  const { secret: comes, name: system } = SET_UP[kind]
  const wanting = comes === 'theirs' && theirs.trim() === ''
  return (
    <Dialog open wide onClose={onClose} title={`Alert source ${name}`}>
      {add.data?.secret !== undefined && (
        <Notice tone="warn" title="The new secret is shown this once only">
          Paste it there, then end the older one here. Until then both are good.
        </Notice>
      )}
      <SourceHow kind={kind} path={path} secret={add.data?.secret} />
      {comes !== 'none' && (
        <fieldset className="group">
          <legend>Secrets</legend>
          {secrets.length === 0 && (
            <p className="small held-back">None yet: nothing that it delivers is believed.</p>
          )}
          <ul className="stack-s">
            {secrets.map(({ id, createdAt, createdBy }, index) => (
              <li key={id} className="spread small">
                <span className="row">
                  <Chip tone={index === 0 ? 'ok' : 'idle'} icon={index === 0 ? 'check' : 'clock'}>
                    {index === 0 ? 'Newest' : 'Older, still good'}
                  </Chip>
                  <span>
                    <Moment at={createdAt} /> by {createdBy}
                  </span>
                </span>
                <Button
                  compact
                  busy={remove.isPending}
                  whyNot={secrets.length === 1 ? 'It is the only one: make a new one first.' : undefined}
                  label={`End it, the ${index === 0 ? 'newest' : 'older'} secret, of ${createdBy}`}
                  onPress={() => remove.mutate({ params: { name, secret: id } })}
                >
                  End it
                </Button>
              </li>
            ))}
          </ul>
          {comes === 'theirs' && (
            <label className="field">
              <span>Another secret that {system} shows</span>
              <input
                className="input mono"
                type="password"
                autoComplete="off"
                value={theirs}
                onChange={(event) => setTheirs(event.target.value)}
              />
            </label>
          )}
          <div>
            <Button
              compact
              icon="retry"
              busy={add.isPending}
              whyNot={wanting ? `Give the secret that ${system} shows.` : undefined}
              onPress={() =>
                add.mutate({
                  params: { name },
                  body: comes === 'theirs' ? { secret: theirs.trim() } : {},
                })
              }
            >
              {comes === 'theirs' ? 'Add it' : 'Make a new secret'}
            </Button>
          </div>
        </fieldset>
      )}
      <Trouble error={add.error ?? remove.error ?? revoke.error} />
      {ending && (
        <Notice tone="bad" title={`${name} is turned away from then on`}>
          Its secrets are erased; what it has delivered stays. It cannot be taken back.
        </Notice>
      )}
      <div className="actions">
        <Button
          kind={ending ? 'danger' : 'danger-line'}
          busy={revoke.isPending}
          onPress={() =>
            ending ? revoke.mutate({ params: { name } }, { onSuccess: onClose }) : setEnding(true)
          }
        >
          {ending ? 'End it for good' : 'End this source'}
        </Button>
        <Button kind="primary" onPress={onClose}>
          Close
        </Button>
      </div>
    </Dialog>
  )
}
