import { useState } from 'react'
import { useChange, useRead } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { several } from '../ui/format.ts'
import { Notice, Trouble } from '../ui/notice.tsx'
import { Ago } from '../ui/time.tsx'
import { useToast } from '../ui/toasts.tsx'
import type { Detail } from './migration-page.tsx'
import { ReasonDialog } from './reason-dialog.tsx'

/** What somebody has changed in the target by hand. Looked for when asked: it reads the whole catalog. */
export function Drift({ migration }: { readonly migration: Detail }) {
  const { id, definition } = migration
  const { whyNot } = useSession()
  const [accepting, setAccepting] = useState(false)
  const say = useToast()
  const input = { params: { id } }
  const { data, error, isFetching, refetch, dataUpdatedAt } = useRead(
    'GET /v1/migrations/{id}/drift',
    input,
    { enabled: false },
  )
  const accept = useChange('POST /v1/migrations/{id}/drift/accept')
  const differences = data?.databases.flatMap((database) => database.differences) ?? []
  const known = data?.databases.some((database) => database.known) ?? false
  return (
    <section className="stack-s" aria-labelledby="drift">
      <div className="spread">
        <h3 id="drift">Drift</h3>
        <div className="row">
          {differences.length > 0 && (
            <Button compact icon="approve" whyNot={whyNot('administer')} onPress={() => setAccepting(true)}>
              Accept as it is
            </Button>
          )}
          <Button compact icon="search" busy={isFetching} onPress={() => void refetch()}>
            {isFetching ? 'Reading the catalog…' : 'Look now'}
          </Button>
        </div>
      </div>
      <p className="small second">
        Whether the schema of <code>{String(definition.target ?? 'main')}</code> is as the migrations have
        left it.
        {data !== undefined && (
          <>
            {' '}
            Looked <Ago at={dataUpdatedAt} />.
          </>
        )}
      </p>
      <Trouble error={error} />
      {data !== undefined && !known && (
        <Notice title="There is nothing to compare with yet">No migration has run in this target.</Notice>
      )}
      {known && differences.length === 0 && (
        <p>
          <Chip tone="ok" icon="check">
            Nothing was changed by hand
          </Chip>
        </p>
      )}
      {differences.length > 0 && (
        <>
          <p>
            <Chip tone="warn" icon="warning">
              {several(differences.length, 'difference')}
            </Chip>
          </p>
          <ul className="boxes">
            {differences.map(({ object, kind, expected, found, message }) => (
              <li key={`${kind} ${object}`}>
                <strong className="wrap-anywhere">{message}</strong>
                {expected !== undefined && found !== undefined && (
                  <dl className="facts">
                    <dt>should be</dt>
                    <dd className="mono">{expected}</dd>
                    <dt>is</dt>
                    <dd className="mono">{found}</dd>
                  </dl>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
      {accepting && (
        <ReasonDialog
          title={`Accept the schema of ${id}'s target`}
          about="What is there now counts as what should be there; the differences are written to the audit log."
          reason=""
          verb="Accept"
          busy={accept.isPending}
          error={accept.error}
          onClose={() => setAccepting(false)}
          onConfirm={(reason) =>
            accept.mutate(
              { ...input, body: { reason } },
              {
                onSuccess: () => {
                  say('The schema is taken as it is.')
                  setAccepting(false)
                  void refetch()
                },
              },
            )
          }
        />
      )}
    </section>
  )
}
