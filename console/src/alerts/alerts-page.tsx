import { useState } from 'react'
import { Link } from 'wouter'
import type { Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { Nothing, Page } from '../shell/page.tsx'
import { Chip, type Tone } from '../ui/chip.tsx'
import { count, percent } from '../ui/format.ts'
import type { IconName } from '../ui/icon.tsx'
import { Trouble } from '../ui/notice.tsx'
import { Moment } from '../ui/time.tsx'
import './alerts.css'

type Alert = Schema<'Alert'>
type Action = NonNullable<Alert['action']>

const DONE: Readonly<Record<Action, { word: string; icon: IconName; tone: Tone }>> = {
  revert: { word: 'Reverted', icon: 'revert', tone: 'bad' },
  pause: { word: 'Paused', icon: 'pause', tone: 'warn' },
  notify: { word: 'Told', icon: 'alert', tone: 'info' },
  none: { word: 'Nothing', icon: 'dot', tone: 'idle' },
}
const SHOWN: readonly { readonly key: Action | undefined; readonly name: string }[] = [
  { key: undefined, name: 'All' },
  { key: 'revert', name: 'Reverted' },
  { key: 'pause', name: 'Paused' },
  { key: 'notify', name: 'Told' },
  { key: 'none', name: 'Did nothing' },
]
/** An alert that does nothing changes nothing, so nobody announces it. */
const LOOK_MS = 4_000

/** What was received, what it was about, what was done, and why; also where nothing was. */
export function AlertsPage() {
  const [action, setAction] = useState<Action>()
  const { data, error } = useRead('GET /v1/alerts', { query: { action, limit: 200 } }, { every: LOOK_MS })
  return (
    <Page title="Alerts" about="Everything that alerting systems sent, and what was made of it.">
      <div className="stack figures">
        <fieldset className="choices">
          <legend className="hidden-text">Show alerts</legend>
          {SHOWN.map(({ key, name }) => (
            <button key={name} type="button" aria-pressed={action === key} onClick={() => setAction(key)}>
              {name}
            </button>
          ))}
        </fieldset>
        <Trouble error={data === undefined ? error : undefined} />
        {data !== undefined && (
          <section className="card" aria-label="Alerts">
            {data.alerts.length === 0 ? (
              <Nothing title="No alert like that">
                Point Alertmanager at <code>/v1/alerts/alertmanager</code> with a token of the role alert.
              </Nothing>
            ) : (
              <ul className="alerts">
                {data.alerts.map((alert) => (
                  <AlertRow key={alert.id} alert={alert} />
                ))}
              </ul>
            )}
          </section>
        )}
      </div>
    </Page>
  )
}

function AlertRow({ alert }: { readonly alert: Alert }) {
  const { signal, action, explanation, reason, migration, incident, duplicates } = alert
  const done = action === undefined ? undefined : DONE[action]
  return (
    <li>
      <Chip tone={done?.tone ?? 'idle'} icon={done?.icon ?? 'clock'}>
        {done?.word ?? 'Not decided yet'}
      </Chip>
      <div className="stack-s">
        <p>
          <strong className="wrap-anywhere">{signal.name}</strong>{' '}
          <span className="small second">
            from {signal.source}, {signal.status}
            {duplicates > 0 && `, ${count(duplicates)} more times`}
          </span>
        </p>
        <p className="small">
          {explanation}
          {reason !== undefined && <code className="muted"> {reason}</code>}
        </p>
        <p className="small second">
          {migration === undefined ? (
            'about no migration'
          ) : (
            <Link href={`/migrations/${migration}`}>{migration}</Link>
          )}
          {signal.epoch !== undefined && ` · epoch ${signal.epoch}`}
          {signal.measured !== undefined &&
            ` · ${percent(signal.measured.errorRate)} of ${count(signal.measured.samples)} operations`}
          {' · '}
          <Moment at={alert.receivedAt} />
          {incident !== undefined && (
            <>
              {' · '}
              <Link href={`/incidents/${incident}`}>its incident</Link>
            </>
          )}
        </p>
        {Object.keys(signal.labels).length > 0 && (
          <p className="tiny muted mono wrap-anywhere">
            {Object.entries(signal.labels)
              .map(([label, value]) => `${label}=${value}`)
              .join('  ')}
          </p>
        )}
      </div>
    </li>
  )
}
