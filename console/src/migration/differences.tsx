import { useState } from 'react'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { BothValues } from './both-values.tsx'
import { keyWords, RowDialog } from './row-dialog.tsx'

interface Mismatch {
  readonly key: string
  readonly kind: 'missing' | 'extra' | 'differs'
  readonly columns?: readonly string[]
  readonly values?: Readonly<
    Record<string, { readonly old: string | null; readonly new: string | null }>
  > | null
}

interface Fault {
  readonly key: string
  readonly error: string
}

const listOf = <Item,>(value: unknown): readonly Item[] => (Array.isArray(value) ? (value as Item[]) : [])
/** Of the path that follows: it lacked the row, had one too many, or other values. */
const KINDS: Readonly<Record<Mismatch['kind'], string>> = {
  missing: 'Row was missing',
  extra: 'Row too many',
  differs: 'Values differed',
}

interface DifferencesProps {
  readonly migration: string
  readonly mismatches: unknown
  readonly faults: unknown
}

/** Keys that differed when they were verified, old and new beside each other; and those that could not be mended. */
export function Differences({ migration, ...props }: DifferencesProps) {
  const { whyNot } = useSession()
  const [looking, setLooking] = useState<string>()
  const mismatches = listOf<Mismatch>(props.mismatches)
  const faults = new Map(listOf<Fault>(props.faults).map(({ key, error }) => [key, error]))
  const known = new Set(mismatches.map(({ key }) => key))
  const all = [
    ...mismatches,
    ...[...faults.keys()].filter((key) => !known.has(key)).map((key) => ({ key, kind: 'differs' as const })),
  ] satisfies readonly Mismatch[]
  if (all.length === 0) return null
  return (
    <ul className="boxes" aria-label="Keys that differed">
      {all.map((mismatch: Mismatch) => {
        const { key, kind, columns = [], values } = mismatch
        const fault = faults.get(key)
        return (
          <li key={key}>
            <div className="spread">
              <span className="row">
                <strong className="mono wrap-anywhere">{keyWords(key)}</strong>
                <Chip
                  tone={fault === undefined ? 'idle' : 'bad'}
                  icon={fault === undefined ? 'check' : 'stop'}
                >
                  {KINDS[kind]}
                  {fault === undefined ? ', repaired' : ', not mended'}
                </Chip>
              </span>
              <Button
                compact
                icon="search"
                whyNot={whyNot('operate')}
                label={`Look at key ${keyWords(key)} as it is now`}
                onPress={() => setLooking(key)}
              >
                As it is now
              </Button>
            </div>
            {fault !== undefined && <p className="small held-back">{fault}</p>}
            {columns.length > 0 && (
              <BothValues
                label={`Key ${keyWords(key)} when it was verified`}
                columns={columns.map((name) => ({
                  name,
                  old: values?.[name]?.old ?? undefined,
                  new: values?.[name]?.new ?? undefined,
                  differs: true,
                }))}
              />
            )}
          </li>
        )
      })}
      {looking !== undefined && (
        <RowDialog migration={migration} rowKey={looking} onClose={() => setLooking(undefined)} />
      )}
    </ul>
  )
}
