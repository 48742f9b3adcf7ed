import { useState } from 'react'
import { useRead } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Sessions } from '../session/session-table.tsx'
import { Page } from '../shell/page.tsx'
import { Button } from '../ui/button.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { Channels } from './channels.tsx'
import { NewToken } from './new-token.tsx'
import { TokenTable } from './token-table.tsx'
import './settings.css'

export function SettingsPage() {
  const { me, whyNot } = useSession()
  const [making, setMaking] = useState(false)
  const mayNot = whyNot('administer')
  const { data, error } = useRead('GET /v1/tokens', {}, { enabled: mayNot === undefined })
  return (
    <Page
      title="Settings"
      about={`Signed in as ${me.name}, ${me.role}, by ${me.session?.provider ?? 'token'}.`}
    >
      <div className="stack figures">
        <section className="card" aria-labelledby="tokens">
          <header>
            <h2 id="tokens">Tokens</h2>
            <Button icon="approve" whyNot={mayNot} onPress={() => setMaking(true)}>
              New token
            </Button>
          </header>
          <div className="body stack">
            {mayNot !== undefined && (
              <Notice title="Tokens are for admins">{mayNot} What each role may do stands below.</Notice>
            )}
            <Trouble error={error} />
            {data !== undefined && <TokenTable tokens={data.tokens} />}
          </div>
        </section>
        <Sessions />
        <Channels />
        <Roles />
        {making && <NewToken onClose={() => setMaking(false)} />}
      </div>
    </Page>
  )
}

const MEANS = {
  read: 'See everything',
  evaluate: 'Evaluate flags',
  operate: 'Advance, roll out, pause, revert, re-arm',
  approve: 'Approve contract, restore',
  administer: 'Pass over blockers, forget instances, manage tokens',
  connect: 'Connect as an instance',
  alert: 'Deliver alerts',
} as const

/** What each role may do, as the server tells it. */
function Roles() {
  const { me } = useSession()
  const permissions = Object.keys(MEANS) as (keyof typeof MEANS)[]
  const roles = [...new Set(permissions.flatMap((permission) => me.permissions[permission]))]
  return (
    <section className="card" aria-labelledby="roles">
      <header>
        <h2 id="roles">Roles</h2>
      </header>
      <div className="body table-scroll">
        <table className="table">
          <thead>
            <tr>
              <th>May</th>
              {roles.map((role) => (
                <th key={role}>{role}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {permissions.map((permission) => (
              <tr key={permission}>
                <td>{MEANS[permission]}</td>
                {roles.map((role) => (
                  <td key={role}>
                    {me.permissions[permission].includes(role) ? 'yes' : <span className="muted">no</span>}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
