interface Mismatch {
  readonly key: string
  readonly kind: 'missing' | 'extra' | 'differs'
  readonly columns?: readonly string[]
}

interface Fault {
  readonly key: string
  readonly error: string
}

const listOf = <Item,>(value: unknown): readonly Item[] => (Array.isArray(value) ? (value as Item[]) : [])
const KINDS: Readonly<Record<Mismatch['kind'], string>> = {
  missing: 'only in old',
  extra: 'only in new',
  differs: 'differs',
}

/** Keys that differed, with the columns in which they did; and those that could not be mended. */
export function Differences(props: { readonly mismatches: unknown; readonly faults: unknown }) {
  const mismatches = listOf<Mismatch>(props.mismatches)
  const faults = listOf<Fault>(props.faults)
  if (mismatches.length === 0 && faults.length === 0) return null
  return (
    <div className="table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th>Key</th>
            <th>What was found</th>
            <th>Columns</th>
          </tr>
        </thead>
        <tbody>
          {mismatches.map((mismatch) => (
            <tr key={mismatch.key}>
              <td className="mono">{mismatch.key}</td>
              <td>{KINDS[mismatch.kind]}; copied again from the leader</td>
              <td className="mono wrap-anywhere">{mismatch.columns?.join(', ')}</td>
            </tr>
          ))}
          {faults.map((fault) => (
            <tr key={fault.key}>
              <td className="mono">{fault.key}</td>
              <td colSpan={2}>Could not be mended: {fault.error}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
