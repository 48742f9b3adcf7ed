import { useState } from 'react'
import { useRead } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { several } from '../ui/format.ts'
import { Trouble } from '../ui/notice.tsx'
import { Ago } from '../ui/time.tsx'
import { keyWords, RowDialog } from './row-dialog.tsx'

const LOOK_MS = 5_000

/** Keys that wait to be copied again from the path that is ahead, and for how long they have. */
export function Repairs({ migration }: { readonly migration: string }) {
  const { whyNot } = useSession()
  const [looking, setLooking] = useState<string>()
  const { data, error } = useRead(
    'GET /v1/migrations/{id}/repairs',
    { params: { id: migration }, query: { limit: 100 } },
    { every: LOOK_MS },
  )
  return (
    <section className="stack-s" aria-labelledby="repairs">
      <div className="spread">
        <h3 id="repairs">Repair queue</h3>
        {data !== undefined && (
          <Chip tone={data.total === 0 ? 'ok' : 'warn'} icon={data.total === 0 ? 'check' : 'clock'}>
            {data.total === 0 ? 'Empty' : several(data.total, 'key')}
          </Chip>
        )}
      </div>
      <Trouble error={data === undefined ? error : undefined} />
      {data?.oldestAt !== undefined && (
        <p className="small second">
          The oldest was queued <Ago at={data.oldestAt} />.
          {data.total > data.repairs.length && ` The first ${data.repairs.length} are shown.`}
        </p>
      )}
      {data !== undefined && data.intents > 0 && (
        <p className="small second">
          {several(data.intents, 'write')} {data.intents === 1 ? 'has' : 'have'} a second half that is not
          confirmed yet.
        </p>
      )}
      {data !== undefined && data.repairs.length > 0 && (
        <div className="table-scroll">
          <table className="table">
            <thead>
              <tr>
                <th>Key</th>
                <th>Behind</th>
                <th>Why</th>
                <th>Queued</th>
                <th className="number">Tries</th>
                <th>
                  <span className="hidden-text">Look at it</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {data.repairs.map(({ key, path, reason, queuedAt, attempts, lastError, settling }) => (
                <tr key={`${path} ${key}`}>
                  <td className="mono key-cell">{keyWords(key)}</td>
                  <td>
                    <Chip tone={path} icon="dot">
                      {path}
                    </Chip>
                  </td>
                  <td>
                    {reason}
                    {settling && <span className="muted"> · copied, waits for older transactions</span>}
                    {lastError !== undefined && <p className="held-back">{lastError}</p>}
                  </td>
                  <td className="nowrap">
                    <Ago at={queuedAt} />
                  </td>
                  <td className="number">{attempts}</td>
                  <td>
                    <Button
                      compact
                      icon="search"
                      whyNot={whyNot('operate')}
                      label={`Look at key ${keyWords(key)} as it is now`}
                      onPress={() => setLooking(key)}
                    />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {looking !== undefined && (
        <RowDialog migration={migration} rowKey={looking} onClose={() => setLooking(undefined)} />
      )}
    </section>
  )
}
