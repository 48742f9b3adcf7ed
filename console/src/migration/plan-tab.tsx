import type { Answer } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { Chip, type Tone } from '../ui/chip.tsx'
import { Icon, type IconName } from '../ui/icon.tsx'
import { Trouble } from '../ui/notice.tsx'
import { Drift } from './drift.tsx'
import type { Detail } from './migration-page.tsx'
import './data.css'

type Plan = Answer<'GET /v1/migrations/{id}/plan'>
type Row = Plan['phases'][number]

const WAYS: Readonly<Record<Row['way'], { word: string; tone: Tone; icon: IconName }>> = {
  none: { word: 'No way back', tone: 'idle', icon: 'dot' },
  flags: { word: 'At once', tone: 'ok', icon: 'revert' },
  rollback: { word: 'Rollback of the schema', tone: 'info', icon: 'back' },
  slow: { word: 'Slow', tone: 'warn', icon: 'clock' },
}

/** What is still to come, what each step waits for, and how one comes back from where. */
export function PlanTab({ migration }: { readonly migration: Detail }) {
  const { id, state } = migration
  const { data, error } = useRead('GET /v1/migrations/{id}/plan', { params: { id } })
  if (data === undefined) return <Trouble error={error} />
  const at = data.phases.findIndex(({ phase }) => phase === state.phase)
  return (
    <div className="stack">
      <ol className="plan">
        {data.phases.map((row, index) => [
          row.phase === data.slowFrom && <Turn key="turn" />,
          <Step
            key={row.phase}
            row={row}
            standing={index === at ? 'here' : index < at ? 'passed' : 'to-come'}
          />,
        ])}
      </ol>
      <Drift migration={migration} />
    </div>
  )
}

/** Whoever goes past this line should know it. */
const Turn = () => (
  <li className="turn">
    <Icon name="clock" />
    <span>
      <strong>From here the way back is slow.</strong>{' '}
      <span className="second">
        Until here a revert is one commit and a push; beyond, data has to go back first.
      </span>
    </span>
  </li>
)

const STANDING = { passed: 'check', here: 'play', 'to-come': 'dot' } as const
const WORDS = { passed: 'passed', here: 'now', 'to-come': 'to come' } as const

function Step({ row, standing }: { readonly row: Row; readonly standing: keyof typeof STANDING }) {
  const { phase, meaning, gate, runs, way, wayBack } = row
  const { word, tone, icon } = WAYS[way]
  return (
    <li className={standing} aria-current={standing === 'here' ? 'step' : undefined}>
      <Icon name={STANDING[standing]} />
      <div>
        <strong>{phase}</strong> <span className="tiny">{WORDS[standing]}</span>
        {runs !== undefined && <p className="small mono">runs {runs}.sql</p>}
      </div>
      <div className="stack-s small">
        <p>{meaning}</p>
        {gate.length > 0 && standing !== 'passed' && (
          <>
            <p className="muted">It is entered when</p>
            <ul>
              {gate.map((condition) => (
                <li key={condition}>{condition}</li>
              ))}
            </ul>
          </>
        )}
      </div>
      <div className="way small">
        {phase !== 'planned' && (
          <Chip tone={standing === 'passed' ? 'idle' : tone} icon={icon}>
            {word}
          </Chip>
        )}
        {way !== 'none' && <span className="second">Back to {wayBack}</span>}
      </div>
    </li>
  )
}
