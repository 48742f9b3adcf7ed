import { Chip } from '../ui/chip.tsx'
import { duration } from '../ui/format.ts'
import { Left } from '../ui/time.tsx'
import type { Detail } from './migration-page.tsx'
import { shareWords } from './words.ts'

interface Step {
  readonly canary?: number
  readonly share?: number
  readonly soak: number
}

const BEFORE = ['planned', 'expanded', 'dual-write', 'backfill', 'shadow']

/** The steps of the rollout as they were planned, set against where it really stands. */
export function RolloutCard({ migration }: { readonly migration: Detail }) {
  const { definition, state } = migration
  if (definition.copy === undefined) return null
  const steps = definition.rollout as readonly Step[]
  const inRamp = state.phase === 'ramp'
  const before = BEFORE.includes(state.phase)
  const planned = steps[state.rollout.step]
  const apart = inRamp && planned !== undefined && !matches(planned, state.rollout)
  return (
    <section className="card" aria-labelledby="rollout-title">
      <header>
        <h2 id="rollout-title">Rollout</h2>
        <span className="small second">
          {inRamp ? (
            <>
              now{' '}
              <strong>
                {state.rollout.canary.length > 0
                  ? `${state.rollout.canary.length} canary`
                  : shareWords(state.rollout.share)}
              </strong>
            </>
          ) : before ? (
            'not begun'
          ) : (
            'all reads are served from new'
          )}
        </span>
      </header>
      <div className="body stack">
        <ol className="rollout-steps">
          {steps.map((step, index) => {
            const standing =
              before || (inRamp && index > state.rollout.step)
                ? 'to-come'
                : inRamp && index === state.rollout.step
                  ? 'here'
                  : 'passed'
            const name = step.canary === undefined ? shareWords(step.share ?? 0) : `${step.canary} canary`
            return (
              <li key={name} className={standing} aria-current={standing === 'here' ? 'step' : undefined}>
                <span className="rollout-bar" aria-hidden="true">
                  <span style={{ width: `${Math.max(2, (step.share ?? 0.02) * 100)}%` }} />
                </span>
                <strong>{name}</strong>
                <span className="small second">
                  {standing === 'here' && state.since + step.soak > Date.now() ? (
                    <>
                      soaks, <Left until={state.since + step.soak} /> left
                    </>
                  ) : (
                    soakWords(step.soak)
                  )}
                </span>
                <span className="tiny">
                  {standing === 'here' ? 'now' : standing === 'passed' ? 'done' : 'to come'}
                </span>
              </li>
            )
          })}
        </ol>
        {apart && (
          <p className="small">
            <Chip tone="warn" icon="warning">
              Set by hand
            </Chip>{' '}
            Step {state.rollout.step + 1} asks for something else than what is served now.
          </p>
        )}
        {state.rollout.canary.length > 0 && (
          <p className="small second wrap-anywhere">Canaries: {state.rollout.canary.join(', ')}</p>
        )}
      </div>
    </section>
  )
}

const soakWords = (soak: number): string => (soak === 0 ? 'no soak' : `soak ${duration(soak)}`)

const matches = (step: Step, { share, canary }: Detail['state']['rollout']): boolean =>
  step.canary === undefined ? step.share === share : canary.length > 0 && share === 0
