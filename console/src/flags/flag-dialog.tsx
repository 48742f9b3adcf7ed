import { useState } from 'react'
import { useChange, useRead } from '../api/use-api.ts'
import type { Phase } from '../migration/words.ts'
import { Dialog } from '../ui/dialog.tsx'
import { FormEnd } from '../ui/form-end.tsx'
import { useToast } from '../ui/toasts.tsx'
import { bodyOf, type FlagForm, formOf, missingIn, NEW_FLAG, type StoredFlag } from './flag-form.ts'
import { RuleFields } from './rule-fields.tsx'
import { VariantFields } from './variant-fields.tsx'

interface FlagDialogProps {
  /** Undefined for a new one. */
  readonly flag: StoredFlag | undefined
  readonly onClose: () => void
}

/** Makes a flag, or changes one: whom it serves what, and which schema it needs. */
export function FlagDialog({ flag, onClose }: FlagDialogProps) {
  const [form, setForm] = useState<FlagForm>(() => (flag === undefined ? NEW_FLAG : formOf(flag)))
  const create = useChange('POST /v1/flags')
  const replace = useChange('PUT /v1/flags/{key}')
  const say = useToast()
  const set = (more: Partial<FlagForm>) => setForm((now) => ({ ...now, ...more }))
  const change = flag === undefined ? create : replace
  const names = form.variants.map(({ name }) => name.trim())
  const send = () => {
    const body = bodyOf(form)
    const done = {
      onSuccess: () => {
        say(flag === undefined ? `${body.key} is there.` : `${body.key} is changed.`)
        onClose()
      },
    }
    if (flag === undefined) create.mutate({ body }, done)
    else replace.mutate({ params: { key: flag.key }, body }, done)
  }
  return (
    <Dialog open wide onClose={onClose} title={flag === undefined ? 'New flag' : `Flag ${flag.key}`}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          send()
        }}
      >
        {flag === undefined && (
          <label className="field">
            <span>Key</span>
            <input
              className="input mono"
              value={form.key}
              placeholder="new-checkout"
              onChange={(event) => set({ key: event.target.value })}
            />
          </label>
        )}
        <label className="field">
          <span>What it is for</span>
          <input
            className="input"
            value={form.description}
            maxLength={1000}
            onChange={(event) => set({ description: event.target.value })}
          />
        </label>
        <label className="check">
          <input
            type="checkbox"
            checked={form.enabled}
            onChange={(event) => set({ enabled: event.target.checked })}
          />
          <span>On</span>
        </label>
        <VariantFields form={form} set={set} />
        <RuleFields rules={form.rules} variants={names} onChange={(rules) => set({ rules })} />
        <Requires form={form} set={set} />
        <FormEnd
          verb={flag === undefined ? 'Make it' : 'Save'}
          busy={change.isPending}
          whyNot={missingIn(form)}
          error={change.error}
          onClose={onClose}
        />
      </form>
    </Dialog>
  )
}

/** The schema without which it cannot be on. */
function Requires({
  form,
  set,
}: {
  readonly form: FlagForm
  readonly set: (more: Partial<FlagForm>) => void
}) {
  const migrations = useRead('GET /v1/migrations')
  const phases = useRead('GET /v1/phases')
  return (
    <fieldset className="group">
      <legend>Needs a schema</legend>
      <div className="pair">
        <label className="field">
          <span>Migration</span>
          <select
            className="input"
            value={form.migration}
            onChange={(event) => set({ migration: event.target.value })}
          >
            <option value="">none: it is on whatever the schema</option>
            {migrations.data?.migrations.map(({ id }) => (
              <option key={id}>{id}</option>
            ))}
          </select>
        </label>
        {form.migration !== '' && (
          <label className="field">
            <span>From which phase on</span>
            <select
              className="input"
              value={form.phase}
              onChange={(event) => set({ phase: event.target.value as Phase })}
            >
              {phases.data?.phases.map(({ phase }) => (
                <option key={phase}>{phase}</option>
              ))}
            </select>
          </label>
        )}
      </div>
      {form.migration !== '' && (
        <p className="small second">
          It goes off by itself when {form.migration} goes back before {form.phase}.
        </p>
      )}
    </fieldset>
  )
}
