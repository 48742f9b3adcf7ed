import { useDeferredValue, useState } from 'react'
import { useRead } from '../api/use-api.ts'
import { Page } from '../shell/page.tsx'
import { count, several } from '../ui/format.ts'
import { Icon } from '../ui/icon.tsx'
import { Meter } from '../ui/meter.tsx'
import { InstanceList, type InstanceState, StateChoice } from './instance-list.tsx'

const LOOK_MS = 5_000
const SHOWN = 8

/** Who is out there, whatever migration they are about. */
export function FleetPage() {
  const { data } = useRead('GET /v1/fleet', {}, { every: LOOK_MS })
  const [state, setState] = useState<InstanceState>()
  const [app, setApp] = useState<string>()
  const [search, setSearch] = useState('')
  const apps = [...new Set(data?.groups.map((group) => group.app) ?? [])]
  const looked = useDeferredValue(search.trim())
  return (
    <Page
      title="Fleet"
      about={
        data === undefined
          ? 'Every instance that has connected.'
          : `${several(data.instances, 'instance')}, ${count(data.live)} with a lease that holds.`
      }
    >
      <div className="stack figures">
        {(data?.groups.length ?? 0) > 0 && (
          <ul className="fleet-groups">
            {data?.groups.slice(0, SHOWN).map((group) => (
              <li key={`${group.app} ${group.version}`} className="card">
                <strong className="wrap-anywhere">{group.app}</strong>
                <span className="small muted">{group.version}</span>
                <span className="small">
                  {count(group.live)} of {count(group.instances)} live
                </span>
                <Meter value={group.live} max={group.instances} />
              </li>
            ))}
          </ul>
        )}
        <div className="spread">
          <div className="row">
            <StateChoice shown={state} onChoose={setState} />
            <label>
              <span className="hidden-text">Application</span>
              <select
                className="input"
                value={app ?? ''}
                onChange={(event) => setApp(event.target.value || undefined)}
              >
                <option value="">All applications</option>
                {apps.map((each) => (
                  <option key={each}>{each}</option>
                ))}
              </select>
            </label>
          </div>
          <label className="search">
            <Icon name="search" />
            <span className="hidden-text">Search instances</span>
            <input
              className="input"
              type="search"
              placeholder="Search by id"
              value={search}
              onChange={(event) => setSearch(event.target.value)}
            />
          </label>
        </div>
        <section className="card" aria-label="Instances">
          <div className="body">
            <InstanceList app={app} state={state} search={looked} />
          </div>
        </section>
      </div>
    </Page>
  )
}
