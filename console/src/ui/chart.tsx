import { useEffect, useRef } from 'react'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import './chart.css'
import { clockTime, day, latency, percent } from './format.ts'

type Values = readonly (number | null)[]

/** A change of the epoch. */
interface Mark {
  readonly at: number
  readonly epoch: number
  readonly phase: string
  readonly revert: boolean
}

export interface ChartProps {
  /** Read out in place of the drawing; the latest figures stand beside it as text. */
  readonly label: string
  /** Unix milliseconds. */
  readonly times: readonly number[]
  /** What the axis spans, Unix milliseconds. */
  readonly from: number
  readonly to: number
  readonly old?: Values
  readonly fresh: Values
  /** Above it a tripwire acts. */
  readonly limits?: Values | undefined
  readonly marks: readonly Mark[]
  readonly format: 'ratio' | 'ms'
}

const HEIGHT = 210
const LEAST = { ratio: 0.01, ms: 1 } as const

const colour = (element: Element, name: string): string => {
  // Only the browser knows which of the two themes holds.
  const probe = document.createElement('i')
  probe.style.color = `var(${name})`
  element.append(probe)
  const found = getComputedStyle(probe).color
  probe.remove()
  return found
}

/** Old and new over time, with the tripwire as a line and each change of the epoch marked. */
export default function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(undefined)
  const latest = useRef(props)
  latest.current = props

  useEffect(() => {
    const element = place.current
    if (element === null) return
    const make = () => {
      plot.current?.destroy()
      plot.current = new UPlot(
        optionsOf(element, () => latest.current),
        dataOf(latest.current),
        element,
      )
    }
    make()
    const sizes = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    )
    sizes.observe(element)
    const themes = new MutationObserver(make)
    themes.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', make)
    return () => {
      sizes.disconnect()
      themes.disconnect()
      scheme.removeEventListener('change', make)
      plot.current?.destroy()
    }
  }, [])

  useEffect(() => {
    plot.current?.setData(dataOf(props))
  }, [props])

  return <div ref={place} className="chart" role="img" aria-label={props.label} />
}

function dataOf({ times, old, fresh, limits }: ChartProps): UPlot.AlignedData {
  const nothing = times.map(() => null)
  return [times.map((at) => at / 1_000), [...(old ?? nothing)], [...fresh], [...(limits ?? nothing)]]
}

const DAY_S = 86_400

/** The hour within a day, the date beyond. */
const timeText = (at: number, span: number): string =>
  span > 2 * DAY_S ? day(at * 1_000).slice(0, 6) : clockTime(at * 1_000).slice(0, 5)

function optionsOf(element: HTMLElement, latest: () => ChartProps): UPlot.Options {
  const of = (name: string) => colour(element, name)
  const text = (value: number) => (latest().format === 'ratio' ? percent(value) : latency(value))
  const axis = { stroke: of('--text-3'), grid: { stroke: of('--border'), width: 1 }, ticks: { show: false } }
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [10, 22, 0, 0],
    legend: { show: false },
    cursor: { points: { show: false }, y: false },
    scales: {
      x: { range: () => [latest().from / 1_000, latest().to / 1_000] },
      y: { range: (_plot, _low, high) => [0, Math.max(high * 1.15, LEAST[latest().format])] },
    },
    series: [
      {},
      { label: 'old', stroke: of('--old'), width: 2, dash: [6, 3], points: { show: false } },
      { label: 'new', stroke: of('--new'), width: 2, points: { show: false } },
      { label: 'limit', stroke: of('--bad'), width: 1.5, dash: [2, 4], points: { show: false } },
    ],
    axes: [
      {
        ...axis,
        space: 70,
        size: 30,
        values: (_plot, values) => {
          const span = (latest().to - latest().from) / 1_000
          return values.map((at) => timeText(at, span))
        },
      },
      { ...axis, size: 58, values: (_plot, values) => values.map(text) },
    ],
    hooks: {
      draw: [(plot) => drawMarks(plot, latest().marks, of)],
    },
  }
}

const MARK_APART = 64

/** A dashed line for each change of the epoch; named where there is room for the name. */
function drawMarks(plot: UPlot, marks: readonly Mark[], of: (name: string) => string): void {
  const { ctx, bbox } = plot
  const ratio = devicePixelRatio
  ctx.save()
  ctx.font = `${11 * ratio}px system-ui, sans-serif`
  ctx.setLineDash([3 * ratio, 3 * ratio])
  // From the newest back: where there is no room for all names, it is the later ones that matter.
  let named = Number.POSITIVE_INFINITY
  for (const { at, epoch, phase, revert } of [...marks].reverse()) {
    const x = plot.valToPos(at / 1_000, 'x', true)
    if (x < bbox.left || x > bbox.left + bbox.width) continue
    ctx.strokeStyle = of(revert ? '--bad' : '--border-strong')
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    if (named - x < MARK_APART * ratio) continue
    named = x
    const text = revert ? `${phase}, reverted` : `${phase} e${epoch}`
    const room = bbox.left + bbox.width - x
    ctx.textAlign = room < ctx.measureText(text).width + 6 * ratio ? 'right' : 'left'
    ctx.fillStyle = of(revert ? '--bad' : '--text-2')
    ctx.fillText(text, x + (ctx.textAlign === 'left' ? 3 : -3) * ratio, bbox.top + 11 * ratio)
  }
  ctx.restore()
}
