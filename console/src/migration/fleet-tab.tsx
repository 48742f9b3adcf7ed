import { useState } from 'react'
import { useRead } from '../api/use-api.ts'
import { InstanceList, type InstanceState, StateChoice } from '../fleet/instance-list.tsx'
import { Chip } from '../ui/chip.tsx'
import { several } from '../ui/format.ts'
import { Meter } from '../ui/meter.tsx'
import type { Detail } from './migration-page.tsx'

/** How far the fleet is with the present epoch: in groups first, then instance by instance. */
export function FleetTab({ migration }: { readonly migration: Detail }) {
  const { id, state, fleet } = migration
  const [shown, setShown] = useState<InstanceState>()
  const { data } = useRead('GET /v1/migrations/{id}/positions', { params: { id } })
  return (
    <div className="stack">
      <div className="fleet-sum">
        <div className="stack-s">
          <p>
            <strong>
              {fleet.drained} of {fleet.live}
            </strong>{' '}
            live instances have drained epoch {state.epoch}, {fleet.applied} have applied it.
            {fleet.lapsed.length > 0 &&
              ` ${several(fleet.lapsed.length, 'lease has', 'leases have')} lapsed.`}
          </p>
          <Meter value={fleet.drained} under={fleet.applied} max={fleet.live} />
        </div>
      </div>
      {(data?.groups.length ?? 0) > 0 && (
        <div className="table-scroll">
          <table className="table">
            <thead>
              <tr>
                <th>Application</th>
                <th>Version</th>
                <th className="number">Applied</th>
                <th className="number">Drained</th>
                <th className="number">Instances</th>
                <th>Standing</th>
              </tr>
            </thead>
            <tbody>
              {data?.groups.map((group) => (
                <tr key={JSON.stringify(group)}>
                  <td>{group.app}</td>
                  <td>{group.version}</td>
                  <td className="number">{group.applied}</td>
                  <td className="number">{group.drained}</td>
                  <td className="number">{group.instances}</td>
                  <td>
                    <Standing live={group.live} drained={group.drained >= state.epoch} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <StateChoice shown={shown} onChoose={setShown} />
      <InstanceList migration={id} epoch={state.epoch} state={shown} search="" />
    </div>
  )
}

export function Standing({ live, drained }: { readonly live: boolean; readonly drained: boolean }) {
  if (!live) {
    return (
      <Chip tone="warn" icon="plug">
        Lapsed
      </Chip>
    )
  }
  return drained ? (
    <Chip tone="ok" icon="check">
      Drained
    </Chip>
  ) : (
    <Chip tone="info" icon="clock">
      Behind
    </Chip>
  )
}
