import { Icon } from '../ui/icon.tsx'

interface Column {
  readonly name: string
  readonly old?: string | undefined
  readonly new?: string | undefined
  readonly differs: boolean
}

interface BothValuesProps {
  readonly columns: readonly Column[]
  readonly present?: { readonly old: boolean; readonly new: boolean }
  readonly label: string
}

/** Values of both paths beside each other; where they differ by a mark, a word and a colour. */
export function BothValues({ columns, present = { old: true, new: true }, label }: BothValuesProps) {
  return (
    <div className="table-scroll">
      <table className="table both-values" aria-label={label}>
        <thead>
          <tr>
            <th>Column</th>
            <th>old</th>
            <th>new</th>
          </tr>
        </thead>
        <tbody>
          {columns.map(({ name, old, new: fresh, differs }) => (
            <tr key={name} className={differs ? 'differs' : undefined}>
              <td className="mono">
                {differs && <Icon name="warning" size={12} />} {name}
                {differs && <span className="hidden-text"> differs</span>}
              </td>
              <td className="mono">
                <Value of={old} there={present.old} />
              </td>
              <td className="mono">
                <Value of={fresh} there={present.new} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Value({ of, there }: { readonly of: string | undefined; readonly there: boolean }) {
  if (!there) return <span className="muted">no row</span>
  if (of === undefined) return <span className="muted">null</span>
  return <span className="value">{of === '' ? <span className="muted">empty text</span> : of}</span>
}
