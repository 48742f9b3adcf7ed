import { useRead } from '../api/use-api.ts'
import { Trouble } from '../ui/notice.tsx'
import { Ago } from '../ui/time.tsx'
import { keyWords } from './row-dialog.tsx'

/** Rows that the backfill could not copy, each with its error. */
export function FailedRows({ migration }: { readonly migration: string }) {
  const { data, error } = useRead('GET /v1/migrations/{id}/failed-rows', {
    params: { id: migration },
    query: { limit: 100 },
  })
  if (data === undefined) return <Trouble error={error} />
  return (
    <div className="table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th>Key</th>
            <th>Error</th>
            <th>When</th>
          </tr>
        </thead>
        <tbody>
          {data.rows.map((row) => (
            <tr key={row.key}>
              <td className="mono key-cell">{keyWords(row.key)}</td>
              <td>
                {row.error} <code className="muted">{row.sqlstate}</code>
              </td>
              <td>
                <Ago at={row.failedAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
