import { useState } from 'react'
import { useChange } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { useToast } from '../ui/toasts.tsx'
import { LIMITS, type LimitName, limitNow, limitText } from './limits.ts'
import type { Detail } from './migration-page.tsx'
import { ThrottleDialog } from './throttle-dialog.tsx'

export const definedThrottle = ({ definition }: Detail): Readonly<Record<string, unknown>> | undefined =>
  (definition.copy as { throttle?: Readonly<Record<string, unknown>> } | undefined)?.throttle

/** Whether copying may run, and what holds it back; both can be changed while it runs. */
export function ThrottleCard({ migration }: { readonly migration: Detail }) {
  const { id, state } = migration
  const { whyNot } = useSession()
  const [open, setOpen] = useState(false)
  const backfill = useChange('POST /v1/migrations/{id}/backfill')
  const say = useToast()
  const mayNot = whyNot('operate')
  const defined = definedThrottle(migration)
  const on = state.backfillOn
  const limits = LIMITS.flatMap((limit) => {
    const now = limitNow(limit.name, defined, state.throttle)
    return now.value === undefined && now.from === 'definition' ? [] : [{ ...limit, ...now }]
  })
  return (
    <section className="stack-s" aria-labelledby="throttle">
      <div className="spread">
        <h3 id="throttle">What holds copying back</h3>
        <div className="row">
          <Button
            compact
            icon={on ? 'pause' : 'play'}
            busy={backfill.isPending}
            whyNot={mayNot}
            onPress={() =>
              backfill.mutate(
                { params: { id }, body: { on: !on } },
                {
                  onSuccess: () =>
                    say(on ? 'Copying stops after the chunks that are under way.' : 'Copying goes on.'),
                  onError: (error) => say(`Refused: ${error.message}`),
                },
              )
            }
          >
            {on ? 'Hold copying' : 'Let copying run'}
          </Button>
          <Button compact icon="settings" whyNot={mayNot} onPress={() => setOpen(true)}>
            Change limits
          </Button>
        </div>
      </div>
      <p className="small second">
        Flag <code>{id}.backfill</code> says <b>{on ? 'on' : 'off'}</b>
        {state.paused && ', and the migration is paused'}.{' '}
        {limits.length === 0 && 'No limit is set: it copies as fast as its chunks allow.'}
      </p>
      {limits.length > 0 && (
        <ul className="limits">
          {limits.map(({ name, words, kind, value, from }) => (
            <li key={name}>
              <span className="tiny muted">{words}</span>
              <strong>{value === undefined ? 'no limit' : shown(name, kind, value)}</strong>
              {from === 'set' && <Chip icon="people">Set by hand</Chip>}
            </li>
          ))}
        </ul>
      )}
      {open && <ThrottleDialog migration={migration} onClose={() => setOpen(false)} />}
    </section>
  )
}

function shown(name: LimitName, kind: (typeof LIMITS)[number]['kind'], value: number | boolean): string {
  if (name === 'autovacuum') return value === true ? 'yes' : 'no'
  return `at most ${limitText(kind, value)}${name === 'latencyFactor' ? ' times' : ''}`
}
