import { type KeyboardEvent, useState } from 'react'
import type { Schema } from '../api/client.ts'
import { count, latency } from '../ui/format.ts'

type Copy = Schema<'CopyCells'>
type Cell = Schema<'ChunkCell'>

const MEASURES = {
  time: { name: 'Time', of: (cell: Cell) => cell.slowestMs ?? 0 },
  rows: { name: 'Rows', of: (cell: Cell) => cell.rows },
  written: { name: 'Written', of: (cell: Cell) => cell.changed },
} as const
type Measure = keyof typeof MEASURES
const NAMES = Object.keys(MEASURES) as Measure[]
const LEVELS = 5

/** Each chunk of a copy, or a few neighbours, as a cell: the darker, the slower or the more. */
export function HeatStrip({ copy }: { readonly copy: Copy }) {
  const [measure, setMeasure] = useState<Measure>('time')
  const [chosen, setChosen] = useState<number>()
  const { cells } = copy
  const { of } = MEASURES[measure]
  const most = almostMost(cells.map(of))
  const at = chosen === undefined ? undefined : cells[Math.min(chosen, cells.length - 1)]
  const step = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -cells.length, End: cells.length }[event.key]
    if (by === undefined) return
    event.preventDefault()
    setChosen((now) => Math.max(0, Math.min(cells.length - 1, (now ?? -1) + by)))
  }
  return (
    <section className="stack-s" aria-labelledby="chunks">
      <div className="spread">
        <h3 id="chunks">Chunks</h3>
        <div className="choices">
          {NAMES.map((name) => (
            <button key={name} type="button" aria-pressed={name === measure} onClick={() => setMeasure(name)}>
              {MEASURES[name].name}
            </button>
          ))}
        </div>
      </div>
      <p className="small second">{summary(copy)}</p>
      <div
        className="heat"
        role="slider"
        tabIndex={0}
        aria-label="Chunk of the copy"
        aria-valuemin={1}
        aria-valuemax={cells.length}
        aria-valuenow={(chosen ?? 0) + 1}
        aria-valuetext={at === undefined ? 'Choose one with the arrow keys' : words(at)}
        onKeyDown={step}
      >
        {cells.map((cell, index) => (
          <span
            key={cell.upTo}
            className={`cell ${standing(cell, of(cell) / most)}${index === chosen ? ' chosen' : ''}`}
            onPointerEnter={() => setChosen(index)}
          />
        ))}
      </div>
      <p className="small heat-words">{at === undefined ? <Legend measure={measure} /> : words(at)}</p>
    </section>
  )
}

/** One odd chunk must not make all others look alike. */
function almostMost(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  return Math.max(sorted[Math.floor(0.95 * (sorted.length - 1))] ?? 0, Number.MIN_VALUE)
}

/** Failed before open before how much: what wants a person is seen first. */
function standing(cell: Cell, share: number): string {
  if (cell.failed > 0) return 'failed'
  if (cell.open > 0) return 'open'
  return `level-${Math.min(LEVELS, Math.max(1, Math.ceil(share * LEVELS)))}`
}

function Legend({ measure }: { readonly measure: Measure }) {
  const most = measure === 'time' ? 'slower' : 'more rows'
  return (
    <span className="legend">
      <span>
        <i className="cell level-1" /> to <i className="cell level-5" /> {most}
      </span>
      <span>
        <i className="cell open" /> under way
      </span>
      <span>
        <i className="cell failed" /> holds a row that could not be copied
      </span>
    </span>
  )
}

function summary({ chunks, done, rows, failed, medianMs, cells }: Copy): string {
  const joined = cells.length < chunks ? ` A cell stands for up to ${Math.ceil(chunks / cells.length)}.` : ''
  const median = medianMs === undefined ? '' : `, half of them within ${latency(medianMs)}`
  const left = failed === 0 ? '' : ` ${count(failed)} rows could not be copied.`
  return `${count(done)} of ${count(chunks)} chunks done${median}: ${count(rows)} rows.${left}${joined}`
}

const keys = (text: string): string => text.replaceAll('\u001f', ', ')

function words(cell: Cell): string {
  const { after, upTo, chunks, open, rows, changed, slowestMs, failed } = cell
  const range =
    after === undefined ? `Up to key ${keys(upTo)}` : `Keys after ${keys(after)} up to ${keys(upTo)}`
  const many = chunks === 1 ? '' : `${chunks} chunks, `
  const time = slowestMs === undefined ? '' : `, slowest ${latency(slowestMs)}`
  const state = open === 0 ? '' : chunks === 1 ? '; under way' : `; ${open} under way`
  const fault = failed === 0 ? '' : `; ${count(failed)} could not be copied`
  return `${range}: ${many}${count(rows)} rows, ${count(changed)} of them written${time}${state}${fault}.`
}
