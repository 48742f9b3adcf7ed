import { useRead } from '../api/use-api.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { BothValues } from './both-values.tsx'

interface RowDialogProps {
  readonly migration: string
  /** As the server gives it: parts of a composite key joined by U+001F. */
  readonly rowKey: string
  readonly onClose: () => void
}

export const keyWords = (key: string): string => key.replaceAll('\u001f', ', ')

/** One key as it is on both paths at this moment, every column of the mapping. */
export function RowDialog({ migration, rowKey, onClose }: RowDialogProps) {
  const { data, error, isFetching } = useRead('GET /v1/migrations/{id}/rows', {
    params: { id: migration },
    query: { key: rowKey },
  })
  const shown = data?.key === rowKey ? data : undefined
  return (
    <Dialog open wide onClose={onClose} title={`Key ${keyWords(rowKey)}`}>
      {shown === undefined ? (
        <p className="second">{isFetching && 'Reading both paths…'}</p>
      ) : (
        <>
          <Verdict present={shown.present} differ={shown.columns.filter(({ differs }) => differs).length} />
          <BothValues
            columns={shown.columns}
            present={shown.present}
            label={`Key ${keyWords(rowKey)} on both paths`}
          />
        </>
      )}
      <Trouble error={error} />
    </Dialog>
  )
}

function Verdict({
  present,
  differ,
}: {
  readonly present: { readonly old: boolean; readonly new: boolean }
  readonly differ: number
}) {
  if (!present.old && !present.new) return <Notice title="Neither path has this key now" />
  if (!present.new) return <Notice tone="warn" title="Only old has this key now" />
  if (!present.old) return <Notice tone="warn" title="Only new has this key now" />
  return differ === 0 ? (
    <Notice tone="ok" title="Both paths agree now" />
  ) : (
    <Notice tone="warn" title={differ === 1 ? 'One column differs now' : `${differ} columns differ now`} />
  )
}
