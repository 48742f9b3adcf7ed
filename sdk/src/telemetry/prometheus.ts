import { coarseLatencies, LATENCY_BUCKETS_MS } from '@switchback/migrations-registry'
import type { Cell } from './cell.ts'

const escapeLabel = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

type Labels = Readonly<Record<string, string>>

const sample = (name: string, labels: Labels, value: number): string => {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
  return pairs.length === 0 ? `${name} ${value}` : `${name}{${pairs.join(',')}} ${value}`
}

const labelsOf = (cell: Cell): Labels => ({
  migration: cell.migration,
  epoch: String(cell.epoch),
  path: cell.path,
  operation: cell.operation,
})

interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly samples: (cell: Cell, labels: Labels) => readonly string[]
}

const counter = (name: string, help: string, value: (cell: Cell) => number): Family => ({
  name,
  type: 'counter',
  help,
  samples: (cell, labels) => [sample(name, labels, value(cell))],
})

const FAMILIES: readonly Family[] = [
  counter('switchback_operations_total', 'Handler calls, failed ones too.', (cell) => cell.count),
  {
    name: 'switchback_errors_total',
    type: 'counter',
    help: 'Failed handler calls by class.',
    samples: (cell, labels) =>
      [...(cell.errors ?? [])].map(([name, count]) =>
        sample('switchback_errors_total', { ...labels, class: name }, count),
      ),
  },
  counter('switchback_compared_total', 'Shadow reads that were compared.', (cell) => cell.compared),
  counter('switchback_mismatches_total', 'Shadow reads that differed twice.', (cell) => cell.mismatches),
  counter(
    'switchback_secondary_failures_total',
    'Writes whose path that does not lead has failed.',
    (cell) => cell.secondaryFailures,
  ),
  {
    name: 'switchback_operation_duration_seconds',
    type: 'histogram',
    help: 'Time of handler calls.',
    samples: (cell, labels) => {
      const name = 'switchback_operation_duration_seconds'
      const latency = coarseLatencies(cell.latency)
      let below = 0
      const buckets = LATENCY_BUCKETS_MS.map((bound, i) => {
        below += latency[i] ?? 0
        return sample(`${name}_bucket`, { ...labels, le: String(bound / 1000) }, below)
      })
      return [
        ...buckets,
        sample(`${name}_bucket`, { ...labels, le: '+Inf' }, cell.count),
        sample(`${name}_sum`, labels, cell.totalMs / 1000),
        sample(`${name}_count`, labels, cell.count),
      ]
    },
  },
]

/** The measurements in the text format of Prometheus. Labels carry the epoch, so that an alert can name it. */
export function exposition(cells: readonly Cell[], own: Readonly<Record<string, number>>): string {
  const lines = FAMILIES.flatMap((family) => {
    const samples = cells.flatMap((cell) => family.samples(cell, labelsOf(cell)))
    if (samples.length === 0) return []
    return [`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.type}`, ...samples]
  })
  for (const [name, value] of Object.entries(own)) lines.push(`# TYPE ${name} gauge`, sample(name, {}, value))
  return `${lines.join('\n')}\n`
}
