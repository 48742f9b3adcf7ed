import { useRead } from '../api/use-api.ts'
import { count, duration, percent } from '../ui/format.ts'

const LOOK_MS = 15_000

/** How well it has gone so far: what the whole is for, in figures. */
export function Figures() {
  const { data } = useRead('GET /v1/stats', {}, { every: LOOK_MS })
  if (data === undefined) return null
  const { migrations, reverts, downtime, corruptionIncidents, satisfaction } = data
  const figures = [
    {
      name: 'Success rate',
      value: migrations.successRate === undefined ? '–' : percent(migrations.successRate),
      about: `${count(migrations.completed)} completed`,
    },
    {
      name: 'Time to rollback, p99',
      value: reverts.timeToRollback === undefined ? '–' : duration(reverts.timeToRollback.p99),
      about: `${count(reverts.total)} ${reverts.total === 1 ? 'revert' : 'reverts'}`,
    },
    {
      name: 'Failed operations',
      value: count(downtime.failed),
      about: `of ${count(downtime.served + downtime.failed)}`,
    },
    { name: 'Corruption', value: count(corruptionIncidents), about: 'incidents' },
    {
      name: 'Satisfaction',
      value: satisfaction.mean === undefined ? '–' : satisfaction.mean.toFixed(1),
      about: `${count(satisfaction.answers)} ${satisfaction.answers === 1 ? 'answer' : 'answers'}`,
    },
  ]
  return (
    <dl className="card overview-figures figures" aria-label="How well it has gone so far">
      {figures.map(({ name, value, about }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <strong>{value}</strong> <span className="small muted">{about}</span>
          </dd>
        </div>
      ))}
    </dl>
  )
}
