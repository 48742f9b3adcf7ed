import { Button } from '../ui/button.tsx'
import type { FlagForm } from './flag-form.ts'

interface VariantFieldsProps {
  readonly form: FlagForm
  readonly set: (more: Partial<FlagForm>) => void
}

/** What the flag can say, and which of it by default and when it is off. */
export function VariantFields({ form, set }: VariantFieldsProps) {
  const { variants, defaultVariant, offVariant, rules } = form
  const names = variants.map(({ name }) => name.trim()).filter((name) => name !== '')
  /** Whatever leads to a variant goes on leading to it under its new name. */
  const rename = (id: number, before: string, name: string) =>
    set({
      variants: variants.map((each) => (each.id === id ? { ...each, name } : each)),
      ...(defaultVariant === before ? { defaultVariant: name.trim() } : {}),
      ...(offVariant === before ? { offVariant: name.trim() } : {}),
      rules: rules.map((rule) => (rule.variant === before ? { ...rule, variant: name.trim() } : rule)),
    })
  return (
    <fieldset className="group">
      <legend>Variants</legend>
      {variants.map(({ id, name, value }, index) => (
        <div key={id} className="variant-row">
          <label className="field">
            <span>Name</span>
            <input
              className="input"
              value={name}
              onChange={(event) => rename(id, name.trim(), event.target.value)}
            />
          </label>
          <label className="field">
            <span>Value</span>
            <input
              className="input mono"
              value={value}
              placeholder="true, 42, text, or JSON"
              onChange={(event) =>
                set({
                  variants: variants.map((each) =>
                    each.id === id ? { ...each, value: event.target.value } : each,
                  ),
                })
              }
            />
          </label>
          <Button
            icon="cross"
            label={`Take away variant ${name === '' ? index + 1 : name}`}
            whyNot={variants.length > 1 ? undefined : 'It has to say something.'}
            onPress={() => set({ variants: variants.filter((each) => each.id !== id) })}
          />
        </div>
      ))}
      <div>
        <Button
          compact
          onPress={() => {
            const id = Math.max(0, ...variants.map((each) => each.id)) + 1
            set({ variants: [...variants, { id, name: '', value: '' }] })
          }}
        >
          Add a variant
        </Button>
      </div>
      <div className="pair">
        <Choice
          name="By default"
          value={defaultVariant}
          names={names}
          onChange={(chosen) => set({ defaultVariant: chosen })}
        />
        <Choice
          name="When off, or without its schema"
          value={offVariant}
          names={names}
          onChange={(chosen) => set({ offVariant: chosen })}
        />
      </div>
    </fieldset>
  )
}

interface ChoiceProps {
  readonly name: string
  readonly value: string
  readonly names: readonly string[]
  readonly onChange: (name: string) => void
}

export function Choice({ name, value, names, onChange }: ChoiceProps) {
  return (
    <label className="field">
      <span>{name}</span>
      <select className="input" value={value} onChange={(event) => onChange(event.target.value)}>
        {!names.includes(value) && <option value={value}>choose</option>}
        {names.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
    </label>
  )
}
