import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useChange, useRead } from '../api/use-api.ts'
import { ReasonDialog } from '../migration/reason-dialog.tsx'
import { Nothing } from '../shell/page.tsx'
import { Button } from '../ui/button.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { Ago, Left, Moment } from '../ui/time.tsx'
import { useSession } from './session.tsx'

type Session = Schema<'Session'>

/** Who is signed in by the provider at the moment; an admin can end a session. */
export function Sessions() {
  const { whyNot } = useSession()
  const mayNot = whyNot('administer')
  const { data, error } = useRead('GET /v1/sessions', {}, { enabled: mayNot === undefined })
  return (
    <section className="card" aria-labelledby="sessions">
      <header>
        <h2 id="sessions">Signed in</h2>
      </header>
      <div className="body stack">
        {mayNot !== undefined && <Notice title="Sessions are for admins">{mayNot}</Notice>}
        <Trouble error={error} />
        {data?.sessions.length === 0 && (
          <Nothing title="Nobody is signed in by single sign-on">
            It is set up with OIDC_ISSUER and the settings beside it; until then people sign in with tokens.
          </Nothing>
        )}
        {data !== undefined && data.sessions.length > 0 && <Table sessions={data.sessions} />}
      </div>
    </section>
  )
}

function Table({ sessions }: { readonly sessions: readonly Session[] }) {
  const [ending, setEnding] = useState<Session>()
  const end = useChange('DELETE /v1/sessions/{id}')
  return (
    <div className="table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th>Name</th>
            <th>Role</th>
            <th>Since</th>
            <th>Used</th>
            <th>Ends in</th>
            <th>
              <span className="hidden-text">End</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sessions.map((session) => (
            <tr key={session.id}>
              <td>
                <strong>{session.name}</strong>
              </td>
              <td>{session.role}</td>
              <td>
                <Moment at={session.startedAt} />
              </td>
              <td>
                <Ago at={session.usedAt} />
              </td>
              <td>
                <Left until={session.expiresAt} />
              </td>
              <td>
                <Button
                  compact
                  label={`End the session of ${session.name}`}
                  onPress={() => setEnding(session)}
                >
                  End
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {ending !== undefined && (
        <ReasonDialog
          title={`End the session of ${ending.name}`}
          about="They are turned away at once. Who can still sign in at the provider may do so again: take the groups from them there."
          verb="End the session"
          danger
          busy={end.isPending}
          error={end.error}
          onClose={() => setEnding(undefined)}
          onConfirm={() =>
            end.mutate({ params: { id: ending.id } }, { onSuccess: () => setEnding(undefined) })
          }
        />
      )}
    </div>
  )
}
