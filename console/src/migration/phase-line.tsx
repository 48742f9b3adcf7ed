import { useEffect, useRef } from 'react'
import type { Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import type { Detail } from './migration-page.tsx'
import { type Band, bandsOf, readBand, writeBand } from './phase-bands.ts'
import { shareWords } from './words.ts'
import './phase-line.css'

type PhaseRow = Schema<'PhaseRow'>

const STEP = 116
const LEFT = 74
const TRACK = 56
const BAND = 26
const WRITES_Y = 112
const READS_Y = 146
const HEIGHT = 182
/** How far the drawing shrinks before it scrolls, and how far it grows. */
const LEAST = 0.84
const MOST = 1.2

/** The line of phases: where it stands, what reads and writes do in each, and where the way back leads. */
export function PhaseLine({ migration }: { readonly migration: Detail }) {
  const { data } = useRead('GET /v1/phases')
  const scroll = useRef<HTMLElement>(null)
  const { state } = migration
  const rows = (data?.phases ?? []).slice(0, migration.definition.copy === undefined ? 2 : undefined)
  const at = rows.findIndex((row) => row.phase === state.phase)

  useEffect(() => {
    const box = scroll.current
    if (box === null || at < 0) return
    const scale = box.scrollWidth / (LEFT + rows.length * STEP)
    box.scrollLeft = ((at + 0.5) * STEP + LEFT) * scale - box.clientWidth / 2
  }, [at, rows.length])

  if (at < 0) return null
  const width = LEFT + rows.length * STEP
  const x = (index: number) => LEFT + STEP * (index + 0.5)
  const back = rows.findIndex((row) => row.phase === rows[at]?.revertsTo)
  const slow = rows.findIndex((row) => row.phase === 'retired')
  const share = state.phase === 'ramp' ? state.rollout.share : 0
  return (
    <figure
      className="phase-line"
      ref={scroll}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
      tabIndex={0}
      aria-label={description(rows, at, back)}
    >
      <svg
        viewBox={`0 0 ${width} ${HEIGHT}`}
        style={{ minWidth: width * LEAST, maxWidth: width * MOST }}
        aria-hidden="true"
      >
        <rect x={LEFT + STEP * at} y="2" width={STEP} height={HEIGHT - 4} rx="10" className="column" />
        {slow > 0 && <SlowPart from={LEFT + STEP * slow} to={width} />}
        <path d={`M${x(0)} ${TRACK}H${x(rows.length - 1)}`} className="ahead" />
        <path d={`M${x(0)} ${TRACK}H${x(at) + share * STEP * 0.8}`} className="behind" />
        {back >= 0 && back < at && state.phase !== 'contracted' && <WayBackArc from={x(at)} to={x(back)} />}
        {rows.map((row, index) => (
          <Station
            key={row.phase}
            row={row}
            x={x(index)}
            standing={index === at ? 'here' : index < at ? 'passed' : 'to-come'}
            note={index === at && row.phase === 'ramp' ? rampWords(state.rollout) : undefined}
          />
        ))}
        <text x="6" y={WRITES_Y + 17} className="band-name">
          Writes
        </text>
        <Bands bands={bandsOf(rows.map((row) => writeBand(row.write)))} y={WRITES_Y} at={at} />
        <text x="6" y={READS_Y + 17} className="band-name">
          Reads
        </text>
        <Bands bands={bandsOf(rows.map((row) => readBand(row.read)))} y={READS_Y} at={at} />
      </svg>
    </figure>
  )
}

const rampWords = ({ share, canary }: Detail['state']['rollout']): string =>
  canary.length > 0 ? `${canary.length} canary` : shareWords(share)

function Station(props: {
  readonly row: PhaseRow
  readonly x: number
  readonly standing: 'passed' | 'here' | 'to-come'
  readonly note: string | undefined
}) {
  const { row, x, standing, note } = props
  return (
    <g className={`station ${standing}`}>
      {standing === 'here' && <circle cx={x} cy={TRACK} r="15" className="halo" />}
      <circle cx={x} cy={TRACK} r={standing === 'here' ? 9 : 6.5} className="stop" />
      {standing === 'passed' && <path d={`m${x - 3} ${TRACK} 2.2 2.4 4-4.8`} className="tick" />}
      <text x={x} y={TRACK + 34} className="name">
        {row.phase}
        {note !== undefined && <tspan className="note"> {note}</tspan>}
      </text>
    </g>
  )
}

/** From where it stands to where a revert leads: above the line, against its direction. */
function WayBackArc({ from, to }: { readonly from: number; readonly to: number }) {
  const top = 20
  return (
    <g className="way-back">
      <path d={`M${from} ${TRACK - 17}C${from} ${top - 4} ${to} ${top - 4} ${to} ${TRACK - 12}`} />
      <path d={`m${to - 4.5} ${TRACK - 18} 4.5 6.5 4.5-6.5`} />
      <text x={(from + to) / 2} y={top - 6}>
        revert
      </text>
    </g>
  )
}

/** From here on the way back is no matter of milliseconds. */
function SlowPart({ from, to }: { readonly from: number; readonly to: number }) {
  return (
    <g className="slow">
      <path d={`M${from} 6V${HEIGHT - 6}`} />
      <text x={(from + to) / 2} y="16">
        from here the way back is slow
      </text>
    </g>
  )
}

function Bands({
  bands,
  y,
  at,
}: {
  readonly bands: readonly Band[]
  readonly y: number
  readonly at: number
}) {
  return bands.map(({ kind, words, from, to }) => (
    <g key={from} className={`band ${kind}${at >= from && at < to ? ' now' : ''}`}>
      <rect x={LEFT + STEP * from + 2} y={y} width={STEP * (to - from) - 4} height={BAND} rx="6" />
      {kind.startsWith('both') && (
        <rect
          x={LEFT + STEP * from + 2}
          y={y + BAND - 4}
          width={STEP * (to - from) - 4}
          height="4"
          rx="2"
          className="under"
        />
      )}
      <text x={LEFT + (STEP * (from + to)) / 2} y={y + 17}>
        {words}
      </text>
    </g>
  ))
}

function description(rows: readonly PhaseRow[], at: number, back: number): string {
  const here = rows[at]
  const lines = rows.map((row, index) => `${index + 1} ${row.phase}: writes ${row.write}, reads ${row.read}`)
  return `Phase ${at + 1} of ${rows.length}: ${here?.phase}. ${
    back >= 0 ? `A revert leads to ${rows[back]?.phase}.` : ''
  } ${lines.join('. ')}.`
}
