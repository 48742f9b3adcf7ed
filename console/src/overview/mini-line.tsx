import type { Schema } from '../api/client.ts'
import { DIRECTION } from '../migration/words.ts'

const PHASES = [
  'planned',
  'expanded',
  'dual-write',
  'backfill',
  'shadow',
  'ramp',
  'promoted',
  'retired',
  'contracted',
] as const
const STEP = 24
const EDGE = 9

/** The line of phases in small, with the position on it. */
export function MiniLine({ row }: { readonly row: Schema<'OverviewRow'> }) {
  const phases = row.short ? PHASES.slice(0, 2) : PHASES
  const at = phases.indexOf(row.phase as (typeof phases)[number])
  const width = EDGE * 2 + STEP * (phases.length - 1)
  const inner = row.rollout === undefined ? 0 : row.rollout.share * 0.9
  const here = EDGE + STEP * (at + inner)
  const tone = DIRECTION[row.direction].tone
  return (
    <svg
      className={`mini-line ${tone}`}
      viewBox={`0 0 ${width} 18`}
      width={width}
      height="18"
      role="img"
      aria-label={`Phase ${at + 1} of ${phases.length}: ${row.phase}`}
    >
      <path d={`M${EDGE} 9H${width - EDGE}`} className="ahead" />
      <path d={`M${EDGE} 9H${here}`} className="behind" />
      {phases.map((phase, index) => (
        <circle
          key={phase}
          cx={EDGE + STEP * index}
          cy="9"
          r={index === at ? 5.5 : 3}
          className={index === at ? 'here' : index < at ? 'passed' : 'to-come'}
        />
      ))}
      {row.direction === 'reverted' && (
        <path d={`M${here + 2.5} 6.5 ${here - 1} 9l3.5 2.5`} className="turn" />
      )}
    </svg>
  )
}
