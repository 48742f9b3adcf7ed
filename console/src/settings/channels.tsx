import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useChange, useRead } from '../api/use-api.ts'
import { ReasonDialog } from '../migration/reason-dialog.tsx'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { useToast } from '../ui/toasts.tsx'
import { NewChannel } from './new-channel.tsx'

/** Where notifications go. */
export function Channels() {
  const { whyNot } = useSession()
  const mayNot = whyNot('administer')
  const [making, setMaking] = useState(false)
  const { data, error } = useRead('GET /v1/channels', {}, { enabled: mayNot === undefined })
  return (
    <section className="card" aria-labelledby="channels">
      <header>
        <h2 id="channels">Notification channels</h2>
        <Button icon="people" whyNot={mayNot} onPress={() => setMaking(true)}>
          New channel
        </Button>
      </header>
      <div className="body stack">
        {mayNot !== undefined && <Notice title="Channels are for admins">{mayNot}</Notice>}
        <Trouble error={data === undefined ? error : undefined} />
        {data?.channels.length === 0 && <p className="second">None yet: nobody is told of a revert.</p>}
        {data !== undefined && data.channels.length > 0 && (
          <div className="table-scroll">
            <table className="table">
              <thead>
                <tr>
                  <th>Name</th>
                  <th>Kind</th>
                  <th>Told of</th>
                  <th>For</th>
                  <th>
                    <span className="hidden-text">Test, remove</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {data.channels.map((channel) => (
                  <ChannelRow key={channel.id} channel={channel} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
      {making && <NewChannel onClose={() => setMaking(false)} />}
    </section>
  )
}

function ChannelRow({ channel }: { readonly channel: Schema<'Channel'> }) {
  const { whyNot } = useSession()
  const test = useChange('POST /v1/channels/{name}/test')
  const remove = useChange('DELETE /v1/channels/{name}')
  const [removing, setRemoving] = useState(false)
  const say = useToast()
  const { name, kind, events, migrations } = channel
  return (
    <tr>
      <td>
        <strong>{name}</strong>
      </td>
      <td>{kind}</td>
      <td>{events?.join(', ') ?? 'everything'}</td>
      <td>{migrations?.join(', ') ?? 'all migrations'}</td>
      <td className="row">
        <Button
          compact
          busy={test.isPending}
          whyNot={whyNot('administer')}
          label={`Send a test to ${name}`}
          onPress={() =>
            test.mutate(
              { params: { name } },
              {
                onSuccess: ({ sent, error }) =>
                  say(
                    sent
                      ? `A test has reached ${name}.`
                      : `The test did not reach ${name}: ${error ?? 'no answer'}`,
                  ),
                onError: (error) => say(`Refused: ${error.message}`),
              },
            )
          }
        >
          Test
        </Button>
        <Button
          compact
          icon="bin"
          whyNot={whyNot('administer')}
          label={`Remove ${name}`}
          onPress={() => setRemoving(true)}
        />
        {removing && (
          <ReasonDialog
            title={`Remove ${name}`}
            about="Nobody is told over it any more, and contacts of definitions that name it lead nowhere."
            verb="Remove"
            danger
            busy={remove.isPending}
            error={remove.error}
            onClose={() => setRemoving(false)}
            onConfirm={() => remove.mutate({ params: { name } }, { onSuccess: () => setRemoving(false) })}
          />
        )}
      </td>
    </tr>
  )
}
