import { useId, useState } from 'react'
import type { Answer } from '../api/client.ts'
import { useChange } from '../api/use-api.ts'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { Trouble } from '../ui/notice.tsx'

const WHY: Readonly<Record<string, string>> = {
  STATIC: 'It says the same to everybody.',
  TARGETING_MATCH: 'A rule that this context meets says so.',
  SPLIT: 'The key falls into the share, or beside it; the same key always falls to the same side.',
  DISABLED: 'It is switched off, or the schema that it needs is not there.',
  ERROR: 'It could not be told.',
}

interface EvaluateProps {
  readonly keys: readonly string[]
  readonly chosen: string
  readonly onChoose: (key: string) => void
}

/** Asks a flag what it would say in a given context, and why. */
export function Evaluate({ keys, chosen, onChoose }: EvaluateProps) {
  const list = useId()
  const [targetingKey, setTargetingKey] = useState('user-1')
  const [more, setMore] = useState('')
  const [wrong, setWrong] = useState<string>()
  const evaluate = useChange('POST /v1/flags/{key}/evaluate')

  const ask = () => {
    try {
      const extra: unknown = more.trim() === '' ? {} : JSON.parse(more)
      if (typeof extra !== 'object' || extra === null || Array.isArray(extra)) throw new Error()
      setWrong(undefined)
      evaluate.mutate({
        params: { key: chosen },
        body: { context: { ...extra, ...(targetingKey === '' ? {} : { targetingKey }) } },
      })
    } catch {
      setWrong('Further attributes must be a JSON object, such as {"country": "BD"}.')
    }
  }

  return (
    <section className="card evaluate" aria-labelledby="evaluate">
      <header>
        <h2 id="evaluate">Evaluate</h2>
      </header>
      <form
        className="body stack"
        onSubmit={(event) => {
          event.preventDefault()
          ask()
        }}
      >
        <label className="field">
          <span>Flag</span>
          <input
            className="input"
            list={list}
            value={chosen}
            onChange={(event) => onChoose(event.target.value)}
          />
        </label>
        <datalist id={list}>
          {keys.map((key) => (
            <option key={key} value={key} />
          ))}
        </datalist>
        <label className="field">
          <span>Targeting key</span>
          <input
            className="input"
            value={targetingKey}
            onChange={(event) => setTargetingKey(event.target.value)}
          />
        </label>
        <label className="field">
          <span>Further attributes, as JSON</span>
          <textarea
            className="input mono"
            placeholder='{"country": "BD"}'
            value={more}
            onChange={(event) => setMore(event.target.value)}
          />
        </label>
        <Button
          kind="primary"
          type="submit"
          busy={evaluate.isPending}
          whyNot={chosen === '' ? 'Choose a flag first.' : undefined}
        >
          Evaluate
        </Button>
        {wrong !== undefined && <p role="alert">{wrong}</p>}
        <Trouble error={evaluate.error} />
        <div aria-live="polite">{evaluate.data !== undefined && <Outcome of={evaluate.data} />}</div>
      </form>
    </section>
  )
}

function Outcome({ of }: { readonly of: Answer<'POST /v1/flags/{key}/evaluate'> }) {
  return (
    <div className="stack-s outcome">
      <p>
        <strong className="mono">{JSON.stringify(of.value)}</strong>{' '}
        {of.variant !== undefined && <span className="second">variant {of.variant}</span>}
      </p>
      <p className="row small">
        <Chip icon="info">{of.reason}</Chip> {of.errorMessage ?? WHY[of.reason]}
      </p>
      {of.metadata !== undefined && (
        <dl className="facts">
          {Object.entries(of.metadata).map(([name, value]) => (
            <div key={name} className="fact">
              <dt>{name}</dt>
              <dd>{String(value)}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  )
}
