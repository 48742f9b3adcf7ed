import { Link } from 'wouter'
import { useRead } from '../api/use-api.ts'
import { Chip } from '../ui/chip.tsx'
import { Trouble } from '../ui/notice.tsx'
import { Ago } from '../ui/time.tsx'

const OUTCOMES = {
  breach: { word: 'Breached', tone: 'bad', icon: 'stop' },
  fine: { word: 'Fine', tone: 'ok', icon: 'check' },
  inconclusive: { word: 'Inconclusive', tone: 'idle', icon: 'clock' },
} as const

const LOOK_MS = 5_000

/** What each tripwire says now and why, and what has been breached before. */
export function Tripwires({ migration }: { readonly migration: string }) {
  const { data, error } = useRead(
    'GET /v1/migrations/{id}/tripwires',
    { params: { id: migration } },
    { every: LOOK_MS },
  )
  if (data === undefined) return <Trouble error={error} />
  return (
    <section className="stack" aria-label="Tripwires">
      <h3>Tripwires</h3>
      <ul className="verdicts">
        {data.verdicts.map((verdict) => {
          const { word, tone, icon } = OUTCOMES[verdict.outcome]
          return (
            <li key={verdict.name}>
              <Chip tone={tone} icon={icon}>
                {word}
              </Chip>
              <div>
                <strong>{verdict.name}</strong>
                <p className="small second">{verdict.explanation}</p>
              </div>
            </li>
          )
        })}
      </ul>
      {data.breaches.length > 0 && (
        <>
          <h3>Breached before</h3>
          <ul className="stack small">
            {data.breaches.map((breach) => (
              <li key={breach.id}>
                <strong>{breach.action}</strong> <Ago at={breach.beganAt} />, epoch {breach.epoch}:{' '}
                {breach.explanation}{' '}
                {breach.incident !== undefined && (
                  <Link href={`/incidents/${breach.incident}`}>Incident</Link>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  )
}
