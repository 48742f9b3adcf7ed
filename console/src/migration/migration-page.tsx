import { Tabs } from '@base-ui/react/tabs'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import { Problem, type Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { Nothing, useTitle } from '../shell/page.tsx'
import { Chip } from '../ui/chip.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { Ago } from '../ui/time.tsx'
import { Actions } from './actions.tsx'
import { DataTab } from './data-tab.tsx'
import { DefinitionTab } from './definition-tab.tsx'
import { FleetTab } from './fleet-tab.tsx'
import { GateCard } from './gate-card.tsx'
import { HealthTab } from './health-tab.tsx'
import { PhaseLine } from './phase-line.tsx'
import { PlanTab } from './plan-tab.tsx'
import { RolloutCard } from './rollout-card.tsx'
import { RunbookTab } from './runbook-tab.tsx'
import { SqlTab } from './sql-tab.tsx'
import { TimelineTab } from './timeline-tab.tsx'
import { readsOf, WRITES } from './words.ts'
import './migration.css'

export type Detail = Schema<'MigrationDetail'>

const TABS: readonly { readonly key: string; readonly name: string; show(of: Detail): ReactNode }[] = [
  { key: 'health', name: 'Health', show: (of) => <HealthTab migration={of} /> },
  { key: 'fleet', name: 'Fleet', show: (of) => <FleetTab migration={of} /> },
  { key: 'data', name: 'Data', show: (of) => <DataTab migration={of} /> },
  { key: 'plan', name: 'Plan', show: (of) => <PlanTab migration={of} /> },
  { key: 'sql', name: 'SQL', show: (of) => <SqlTab migration={of} /> },
  { key: 'timeline', name: 'Timeline', show: (of) => <TimelineTab migration={of} /> },
  { key: 'runbook', name: 'Runbook', show: (of) => <RunbookTab migration={of} /> },
  { key: 'definition', name: 'Definition', show: (of) => <DefinitionTab migration={of} /> },
]
/** Leases run out without anybody saying so. */
const LOOK_MS = 5_000

export function MigrationPage({ id, tab }: { readonly id: string; readonly tab: string | undefined }) {
  useTitle(id)
  const found = useRead('GET /v1/migrations/{id}', { params: { id } }, { every: LOOK_MS })
  if (found.data === undefined) {
    if (found.error instanceof Problem && found.error.status === 404) {
      return (
        <>
          <h1>{id}</h1>
          <Nothing title={found.error.message}>
            <Link href="/">See those that there are</Link>
          </Nothing>
        </>
      )
    }
    return (
      <>
        <h1>{id}</h1>
        <Trouble error={found.error} />
      </>
    )
  }
  return <Shown migration={found.data} tab={tab ?? TABS[0]?.key ?? ''} />
}

function Shown({ migration, tab }: { readonly migration: Detail; readonly tab: string }) {
  const [, go] = useLocation()
  const { id, title, state, config } = migration
  const owner = migration.definition.owner as { team: string; contacts: readonly string[] } | undefined
  return (
    <div className="stack migration">
      <div className="migration-head">
        <div className="stack-s">
          <p className="small">
            <Link href="/">Overview</Link> <span className="muted">/</span>
          </p>
          <h1 className="wrap-anywhere">{id}</h1>
          <p className="second">{title}</p>
          <div className="row small">
            <Chip icon="dot">epoch {state.epoch}</Chip>
            {state.paused && (
              <Chip tone="warn" icon="pause">
                Paused
              </Chip>
            )}
            {!migration.compared && (
              <Chip tone="bad" icon="warning">
                Not compared
              </Chip>
            )}
            {state.latch !== undefined && (
              <Chip tone="bad" icon="latch">
                Latched
              </Chip>
            )}
            {owner !== undefined && (
              <span className="second">
                {owner.team}
                {owner.contacts.length > 0 && <span className="muted"> · {owner.contacts.join(', ')}</span>}
              </span>
            )}
          </div>
        </div>
        <Actions migration={migration} />
      </div>

      <NotCompared migration={migration} />
      <Latched migration={migration} />

      <section className="card figures" aria-label="Phases">
        <div className="body stack">
          <PhaseLine migration={migration} />
          <p className="meaning">
            <strong>{state.phase}</strong> <span className="muted">since</span> <Ago at={state.since} />
            <span className="muted">.</span> Reads: <b>{readsOf(config.read)}</b>. Writes:{' '}
            <b>{WRITES[config.write]}</b>. <span className="second">{migration.meaning}</span>
          </p>
        </div>
      </section>

      <div className="migration-cards figures">
        <GateCard migration={migration} />
        <RolloutCard migration={migration} />
      </div>

      <Tabs.Root
        className="card"
        value={tab}
        onValueChange={(next) => go(`/migrations/${id}/${String(next)}`, { replace: true })}
      >
        <Tabs.List className="tabs" aria-label="More about this migration">
          {TABS.map(({ key, name }) => (
            <Tabs.Tab key={key} value={key} className="tab">
              {name}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {TABS.map(({ key, show }) => (
          <Tabs.Panel key={key} value={key} className="body figures">
            {show(migration)}
          </Tabs.Panel>
        ))}
      </Tabs.Root>
    </div>
  )
}

/** Why nothing can be changed while the store may be out of date. */
function NotCompared({ migration }: { readonly migration: Detail }) {
  const blocker = migration.gate.blockers.find(({ code }) => code === 'target-not-compared')
  if (blocker === undefined) return null
  return (
    <Notice tone="bad" title="Not compared with its target yet">
      <p>
        {blocker.message} {blocker.action}
      </p>
    </Notice>
  )
}

/** Why nothing advances, where a revert has latched it; and how the revert itself gets on. */
function Latched({ migration }: { readonly migration: Detail }) {
  const { state, incidents, fleet } = migration
  if (state.latch === undefined && state.pending === undefined) return null
  const incident = state.latch?.incident ?? incidents[0]?.id
  return (
    <Notice
      tone="bad"
      title={state.latch === undefined ? 'A revert is under way' : `Reverted: ${state.latch.reason}`}
    >
      <p>
        {fleet.applied} of {fleet.live} live instances have applied epoch {state.epoch}.{' '}
        {state.pending !== undefined && `It goes on to ${state.pending.to} by itself when that is safe. `}
        {state.latch !== undefined && 'Nothing advances until somebody re-arms it. '}
        {incident !== undefined && <Link href={`/incidents/${incident}`}>See the incident</Link>}
      </p>
    </Notice>
  )
}
