import { useEffect, useRef } from 'react'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import './chart.css'
import { clockTime, latency, percent } from './format.ts'

type Values = readonly (number | null)[]

interface ChartProps {
  /** Read out in place of the drawing; the latest figures stand beside it as text. */
  readonly label: string
  /** Unix milliseconds. */
  readonly times: readonly number[]
  readonly old: Values
  readonly fresh: Values
  /** A tripwire: one limit, or one that follows the old path. */
  readonly limit?: number | undefined
  readonly limits?: Values | undefined
  readonly epochs: readonly { readonly at: number; readonly epoch: number }[]
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

function dataOf({ times, old, fresh, limit, limits }: ChartProps): UPlot.AlignedData {
  return [
    times.map((at) => at / 1_000),
    [...old],
    [...fresh],
    limits === undefined ? times.map(() => limit ?? null) : [...limits],
  ]
}

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
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(high * 1.15, LEAST[latest().format])] } },
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
        values: (_plot, values) => values.map((at) => clockTime(at * 1_000).slice(0, 5)),
      },
      { ...axis, size: 58, values: (_plot, values) => values.map(text) },
    ],
    hooks: {
      draw: [
        (plot) => {
          const { ctx } = plot
          ctx.save()
          ctx.strokeStyle = of('--border-strong')
          ctx.fillStyle = of('--text-2')
          ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`
          ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
          for (const { at, epoch } of latest().epochs) {
            const x = plot.valToPos(at / 1_000, 'x', true)
            if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue
            ctx.beginPath()
            ctx.moveTo(x, plot.bbox.top)
            ctx.lineTo(x, plot.bbox.top + plot.bbox.height)
            ctx.stroke()
            ctx.fillText(`e${epoch}`, x + 3 * devicePixelRatio, plot.bbox.top + 11 * devicePixelRatio)
          }
          ctx.restore()
        },
      ],
    },
  }
}
