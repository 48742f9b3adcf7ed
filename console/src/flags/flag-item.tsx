import type { Input, Schema } from '../api/client.ts'
import { useChange } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { Trouble } from '../ui/notice.tsx'

type Flag = Schema<'StoredFlag'>
type Replacement = NonNullable<Input<'PUT /v1/flags/{key}'>['body']>

const value = (of: unknown): string => (typeof of === 'string' ? of : JSON.stringify(of))

/** A share as it is written down: it is read as a number. */
const percent = (share: number): string => `${Number((share * 100).toFixed(6))}%`

function rule({ when, share, variant }: Flag['rules'][number]): string {
  const who = when === undefined ? 'everybody' : `${when.attribute} in ${when.in.join(', ')}`
  return `${who}${share === undefined ? '' : `, ${share * 100} % of keys`}: ${variant}`
}

interface FlagItemProps {
  readonly flag: Flag
  readonly onChoose: (key: string) => void
}

export function FlagItem({ flag, onChoose }: FlagItemProps) {
  const { whyNot } = useSession()
  const replace = useChange('PUT /v1/flags/{key}')
  const { key, description, enabled, variants, defaultVariant, offVariant, rules, requires } = flag
  const turn = () =>
    replace.mutate({
      params: { key },
      body: {
        key,
        description,
        enabled: !enabled,
        // Read as what it is, whatever that may be; the server takes back what it gave.
        variants: variants as NonNullable<Replacement['variants']>,
        defaultVariant,
        offVariant,
        rules: rules.map(({ share, ...others }) => ({
          ...others,
          ...(share === undefined ? {} : { share: percent(share) }),
        })),
        ...(requires === undefined ? {} : { requires }),
      },
    })
  return (
    <article className="flag">
      <div className="spread">
        <button type="button" className="link" onClick={() => onChoose(key)}>
          {key}
        </button>
        <span className="row">
          <Chip tone={enabled ? 'ok' : 'idle'} icon={enabled ? 'check' : 'pause'}>
            {enabled ? 'On' : 'Off'}
          </Chip>
          <Button
            compact
            busy={replace.isPending}
            whyNot={whyNot('operate')}
            label={`Turn ${key} ${enabled ? 'off' : 'on'}`}
            onPress={turn}
          >
            Turn {enabled ? 'off' : 'on'}
          </Button>
        </span>
      </div>
      {description !== '' && <p className="small second">{description}</p>}
      <p className="small">
        {Object.entries(variants).map(([name, of]) => (
          <span key={name} className="variant">
            <strong>{name}</strong> <code>{value(of)}</code>
            {name === defaultVariant && ' by default'}
            {name === offVariant && ' when off'}
          </span>
        ))}
      </p>
      {rules.length > 0 && (
        <ol className="small second">
          {rules.map((each) => (
            <li key={rule(each)}>{rule(each)}</li>
          ))}
        </ol>
      )}
      {requires !== undefined && (
        <p className="small second">
          Needs {requires.migration} at {requires.phase} or later.
        </p>
      )}
      <Trouble error={replace.error} />
    </article>
  )
}
