import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { duration, several } from '../ui/format.ts'
import { Trouble } from '../ui/notice.tsx'
import { Ago, Left, Moment } from '../ui/time.tsx'
import { TimingDialog } from './timing-dialog.tsx'

type Target = Schema<'TargetTiming'>

const LOOK_MS = 30_000

/** When work that holds up traffic may begin, target by target. */
export function Targets() {
  const { whyNot } = useSession()
  const { data, error } = useRead('GET /v1/targets', {}, { every: LOOK_MS })
  const [setting, setSetting] = useState<Target>()
  return (
    <section className="card" aria-labelledby="targets">
      <header>
        <h2 id="targets">Windows and freezes</h2>
      </header>
      <div className="body stack">
        <p className="small second">
          Statements that hold up traffic begin only within a window and outside of a freeze. Copying and
          switching go on.
        </p>
        <Trouble error={data === undefined ? error : undefined} />
        {data?.targets.length === 0 && <p className="second">No target is known yet.</p>}
        <ul className="boxes">
          {data?.targets.map((target) => (
            <li key={target.name}>
              <div className="spread">
                <span className="row">
                  <strong>{target.name}</strong>
                  <OpenMark target={target} />
                </span>
                <Button
                  compact
                  icon="clock"
                  whyNot={whyNot('administer')}
                  label={`Set windows and freezes of ${target.name}`}
                  onPress={() => setSetting(target)}
                >
                  Set
                </Button>
              </div>
              <Rules target={target} />
            </li>
          ))}
        </ul>
      </div>
      {setting !== undefined && <TimingDialog target={setting} onClose={() => setSetting(undefined)} />}
    </section>
  )
}

function OpenMark({ target }: { readonly target: Target }) {
  const { open, opensAt } = target
  if (open) {
    return (
      <Chip tone="ok" icon="check">
        May begin now
      </Chip>
    )
  }
  return (
    <>
      <Chip tone="warn" icon="pause">
        {target.freezes.some(({ active }) => active) ? 'Frozen' : 'Outside of its windows'}
      </Chip>
      <span className="small second">
        {opensAt === undefined ? (
          'no opening in sight'
        ) : (
          <>
            opens in <Left until={opensAt} />, <Moment at={opensAt} />
          </>
        )}
      </span>
    </>
  )
}

function Rules({ target }: { readonly target: Target }) {
  const { windows, freezes, load, migrations, set } = target
  const limits = [
    ...(load.connections === undefined ? [] : [`at most ${load.connections} active connections`]),
    ...(load.transactionAge === undefined
      ? []
      : [`no transaction older than ${duration(load.transactionAge)}`]),
    ...(load.tps === undefined ? [] : [`at most ${load.tps} transactions/s`]),
  ]
  return (
    <dl className="facts">
      <dt>Windows</dt>
      <dd>
        {windows.length === 0 ? (
          'none: at any time'
        ) : (
          <Texts of={windows.map(({ text, from, open }) => ({ text, from, now: open ? 'open now' : '' }))} />
        )}
      </dd>
      <dt>Freezes</dt>
      <dd>
        {freezes.length === 0 ? (
          'none'
        ) : (
          <Texts of={freezes.map(({ text, from, active }) => ({ text, from, now: active ? 'now' : '' }))} />
        )}
      </dd>
      {limits.length > 0 && (
        <>
          <dt>Load</dt>
          <dd>{limits.join(', ')}</dd>
        </>
      )}
      <dt>Used by</dt>
      <dd>
        {migrations.length > 6
          ? several(migrations.length, 'migration')
          : migrations.join(', ') || 'no migration'}
      </dd>
      {set !== undefined && (
        <>
          <dt>Set</dt>
          <dd>
            by {set.by} <Ago at={set.at} />: {set.reason}
          </dd>
        </>
      )}
    </dl>
  )
}

interface Text {
  readonly text: string
  readonly from: 'configuration' | 'set'
  readonly now: string
}

const Texts = ({ of }: { readonly of: readonly Text[] }) => (
  <ul>
    {of.map(({ text, from, now }) => (
      <li key={`${from} ${text}`}>
        <span className="mono">{text}</span>
        <span className="muted">{from === 'configuration' && ' by configuration'}</span>
        {now !== '' && <b> {now}</b>}
      </li>
    ))}
  </ul>
)
