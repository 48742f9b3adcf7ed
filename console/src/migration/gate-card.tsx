import { Chip } from '../ui/chip.tsx'
import { several } from '../ui/format.ts'
import { Icon, type IconName } from '../ui/icon.tsx'
import { Ago } from '../ui/time.tsx'
import type { Detail } from './migration-page.tsx'
import { nextWords } from './words.ts'

const ICONS: Readonly<Record<string, IconName>> = {
  latched: 'latch',
  paused: 'pause',
  soak: 'clock',
  'work-running': 'retry',
  'work-failed': 'stop',
  'approvals-missing': 'approve',
}
const SHOWN = 8

/** What comes next, and each reason why it does not come yet, with what to do about it. */
export function GateCard({ migration }: { readonly migration: Detail }) {
  const { gate } = migration
  const over = gate.next.kind === 'none'
  const more = gate.blockers.length - SHOWN
  return (
    <section className="card" aria-labelledby="gate-title">
      <header>
        <h2 id="gate-title">Gate</h2>
        {over ? (
          <Chip icon="check">Nothing further</Chip>
        ) : gate.open ? (
          <Chip tone="ok" icon="check">
            Open
          </Chip>
        ) : (
          <Chip tone="warn" icon="stop">
            Closed by {several(gate.blockers.length, 'blocker')}
          </Chip>
        )}
      </header>
      <div className="body stack">
        <p>
          {over ? (
            'This migration has come to its end.'
          ) : (
            <>
              Next: <strong>{nextWords(gate.next)}</strong>
            </>
          )}
        </p>
        {gate.blockers.length > 0 && (
          <ul className="blockers">
            {gate.blockers.slice(0, SHOWN).map((blocker) => (
              <li key={`${blocker.code} ${blocker.subject}`}>
                <Icon name={ICONS[blocker.code] ?? 'warning'} />
                <div className="stack-s">
                  <strong>{blocker.message.replace(/\.+$/, '.')}</strong>
                  <span className="small second wrap-anywhere">{blocker.action}</span>
                  <span className="tiny muted">
                    {blocker.code}
                    {blocker.since !== undefined && (
                      <>
                        {' '}
                        · since <Ago at={blocker.since} />
                      </>
                    )}
                    {blocker.forceable && ' · an admin may pass over it'}
                  </span>
                </div>
              </li>
            ))}
          </ul>
        )}
        {more > 0 && <p className="small muted">And {more} more; the Fleet tab shows each instance.</p>}
        {gate.open && gate.passFence !== undefined && (
          <p className="small second">
            On the way the fence is passed up to epoch {gate.passFence}: no write begun before it can commit
            any more.
          </p>
        )}
      </div>
    </section>
  )
}
