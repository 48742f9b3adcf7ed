import { useState } from 'react'
import { Link } from 'wouter'
import type { Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { Ago } from '../ui/time.tsx'
import { NewSource } from './new-source.tsx'
import { SourceDialog } from './source-dialog.tsx'
import { SET_UP } from './source-setup.ts'

const LOOK_MS = 10_000

/** Alerting systems that may deliver, and when each did last. */
export function AlertSources() {
  const { whyNot } = useSession()
  const mayNot = whyNot('administer')
  const [making, setMaking] = useState(false)
  const [shown, setShown] = useState<string>()
  const { data, error } = useRead(
    'GET /v1/alert-sources',
    {},
    { enabled: mayNot === undefined, every: LOOK_MS },
  )
  const sources = data?.sources.filter(({ revokedAt }) => revokedAt === undefined)
  const source = sources?.find(({ name }) => name === shown)
  return (
    <section className="card" aria-labelledby="sources">
      <header>
        <h2 id="sources">Alert sources</h2>
        <Button icon="alert" whyNot={mayNot} onPress={() => setMaking(true)}>
          New alert source
        </Button>
      </header>
      <div className="body stack">
        {mayNot !== undefined && <Notice title="Alert sources are for admins">{mayNot}</Notice>}
        <Trouble error={data === undefined ? error : undefined} />
        {sources?.length === 0 && (
          <p className="second">
            None yet: alerts come only with a token of the role alert, at <code>/v1/alerts</code>.
          </p>
        )}
        {sources !== undefined && sources.length > 0 && (
          <div className="table-scroll">
            <table className="table">
              <thead>
                <tr>
                  <th>Name</th>
                  <th>System</th>
                  <th>For</th>
                  <th>Last delivery</th>
                  <th>Secrets</th>
                  <th>
                    <span className="hidden-text">Manage</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {sources.map((each) => (
                  <SourceRow key={each.id} source={each} onShow={() => setShown(each.name)} />
                ))}
              </tbody>
            </table>
          </div>
        )}
        {sources !== undefined && sources.length > 0 && (
          <p className="small second">
            What they delivered, and what was made of it: <Link href="/alerts">Alerts</Link>.
          </p>
        )}
      </div>
      {making && <NewSource onClose={() => setMaking(false)} />}
      {source !== undefined && <SourceDialog source={source} onClose={() => setShown(undefined)} />}
    </section>
  )
}

function SourceRow({
  source,
  onShow,
}: {
  readonly source: Schema<'AlertSource'>
  readonly onShow: () => void
}) {
  const { name, kind, migrations, lastUsedAt, secrets } = source
  return (
    <tr>
      <td>
        <strong>{name}</strong>
      </td>
      <td>{SET_UP[kind].name}</td>
      <td>{migrations?.join(', ') ?? 'all migrations'}</td>
      <td>{lastUsedAt === undefined ? <span className="muted">none yet</span> : <Ago at={lastUsedAt} />}</td>
      <td>{SET_UP[kind].secret === 'none' ? 'signed by SNS' : secrets.length}</td>
      <td>
        <Button compact label={`Set up ${name}, change its secrets`} onPress={onShow}>
          Set up
        </Button>
      </td>
    </tr>
  )
}
