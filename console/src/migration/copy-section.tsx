import type { Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { count, latency } from '../ui/format.ts'
import { HeatStrip } from './heat-strip.tsx'
import type { Detail } from './migration-page.tsx'
import { ThrottleCard } from './throttle-card.tsx'

const LOOK_MS = 2_000
/** Where something is copied or compared, or is about to be. */
const HELD_IN: ReadonlySet<string> = new Set(['expanded', 'dual-write', 'backfill', 'shadow', 'retired'])

/** Copying history: what holds it back, every chunk, every worker. */
export function CopySection({ migration }: { readonly migration: Detail }) {
  const { id, works, state } = migration
  const copying = works.find(({ kind, status }) => kind === 'backfill' && status === 'running')
  const { data } = useRead(
    'GET /v1/migrations/{id}/chunks',
    { params: { id } },
    copying === undefined ? {} : { every: LOOK_MS },
  )
  const working = works.some(({ status }) => status === 'running')
  return (
    <>
      {(working || HELD_IN.has(state.phase)) && <ThrottleCard migration={migration} />}
      {data?.copy !== undefined && data.copy.cells.length > 0 && <HeatStrip copy={data.copy} />}
      {copying?.progress.workers !== undefined && <Workers of={copying.progress.workers} />}
    </>
  )
}

function Workers({ of }: { readonly of: NonNullable<Schema<'Work'>['progress']['workers']> }) {
  return (
    <div className="table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th>Worker</th>
            <th className="number">Rows</th>
            <th className="number">Last chunk</th>
            <th className="number">It took</th>
            <th className="number">Pace</th>
          </tr>
        </thead>
        <tbody>
          {of.map(({ name, rows, chunkRows, chunkMs }) => (
            <tr key={name}>
              <td className="mono wrap-anywhere">{name}</td>
              <td className="number">{count(rows)}</td>
              <td className="number">{count(chunkRows)} rows</td>
              <td className="number">{latency(chunkMs)}</td>
              <td className="number">{chunkMs > 0 ? `${count((chunkRows * 1_000) / chunkMs)}/s` : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
