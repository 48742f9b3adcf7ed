import type { Schema } from '../api/client.ts'
import { useChange, useRead } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { useToast } from '../ui/toasts.tsx'

/** Where notifications go. */
export function Channels() {
  const { whyNot } = useSession()
  const mayNot = whyNot('administer')
  const { data, error } = useRead('GET /v1/channels', {}, { enabled: mayNot === undefined })
  return (
    <section className="card" aria-labelledby="channels">
      <header>
        <h2 id="channels">Notification channels</h2>
      </header>
      <div className="body stack">
        {mayNot !== undefined && <Notice title="Channels are for admins">{mayNot}</Notice>}
        <Trouble error={data === undefined ? error : undefined} />
        {data?.channels.length === 0 && (
          <p className="second">None yet: nobody is told of a revert. Make one with POST /v1/channels.</p>
        )}
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
                    <span className="hidden-text">Test</span>
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
    </section>
  )
}

function ChannelRow({ channel }: { readonly channel: Schema<'Channel'> }) {
  const { whyNot } = useSession()
  const test = useChange('POST /v1/channels/{name}/test')
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
      <td>
        <Button
          compact
          busy={test.isPending}
          whyNot={whyNot('administer')}
          label={`Send a test to ${name}`}
          onPress={() =>
            test.mutate(
              { params: { name } },
              {
                onSuccess: () => say(`A test is on its way to ${name}.`),
                onError: (error) => say(`Refused: ${error.message}`),
              },
            )
          }
        >
          Test
        </Button>
      </td>
    </tr>
  )
}
