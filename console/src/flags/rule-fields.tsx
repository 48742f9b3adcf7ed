import { Button } from '../ui/button.tsx'
import type { RuleForm } from './flag-form.ts'
import { Choice } from './variant-fields.tsx'

interface RuleFieldsProps {
  readonly rules: readonly RuleForm[]
  readonly variants: readonly string[]
  readonly onChange: (rules: readonly RuleForm[]) => void
}

/** Who gets something else than the default; the first rule that is met decides. */
export function RuleFields({ rules, variants, onChange }: RuleFieldsProps) {
  const names = variants.filter((name) => name !== '')
  const put = (id: number, more: Partial<RuleForm>) =>
    onChange(rules.map((rule) => (rule.id === id ? { ...rule, ...more } : rule)))
  return (
    <fieldset className="group">
      <legend>Rules</legend>
      <p className="small second">
        The first that is met decides; where none is, the default. A share is sticky: the same key always
        falls to the same side.
      </p>
      {rules.map((rule, index) => (
        <div key={rule.id} className="rule-row">
          <label className="field">
            <span>Attribute</span>
            <input
              className="input"
              value={rule.attribute}
              placeholder="anybody"
              onChange={(event) => put(rule.id, { attribute: event.target.value })}
            />
          </label>
          <label className="field">
            <span>is one of</span>
            <input
              className="input"
              value={rule.among}
              placeholder="BD, IN"
              onChange={(event) => put(rule.id, { among: event.target.value })}
            />
          </label>
          <label className="field">
            <span>Share, %</span>
            <input
              className="input"
              inputMode="decimal"
              value={rule.share}
              placeholder="all"
              onChange={(event) => put(rule.id, { share: event.target.value })}
            />
          </label>
          <Choice
            name="gets"
            value={rule.variant}
            names={names}
            onChange={(variant) => put(rule.id, { variant })}
          />
          <span className="row">
            <Button
              icon="up"
              label={`Move rule ${index + 1} up`}
              whyNot={index === 0 ? 'It is the first.' : undefined}
              onPress={() => onChange(moved(rules, index))}
            />
            <Button
              icon="cross"
              label={`Take away rule ${index + 1}`}
              onPress={() => onChange(rules.filter(({ id }) => id !== rule.id))}
            />
          </span>
        </div>
      ))}
      <div>
        <Button
          compact
          onPress={() => {
            const id = Math.max(0, ...rules.map((each) => each.id)) + 1
            onChange([...rules, { id, attribute: '', among: '', share: '', variant: names[0] ?? '' }])
          }}
        >
          Add a rule
        </Button>
      </div>
    </fieldset>
  )
}

const moved = (rules: readonly RuleForm[], index: number): readonly RuleForm[] =>
  rules.flatMap((rule, i) => {
    if (i === index - 1) return [rules[index] ?? rule, rule]
    return i === index ? [] : [rule]
  })
