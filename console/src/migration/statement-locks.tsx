import type { Schema } from '../api/client.ts'
import { Chip } from '../ui/chip.tsx'
import { duration } from '../ui/format.ts'
import type { DryStatement } from './dry-run.tsx'

type Statement = Schema<'PlannedStatement'>

const TAKES: Readonly<Record<Statement['work'], string>> = {
  catalog: 'only the catalog changes',
  scan: 'reads the whole table',
  'index build': 'builds an index',
  rewrite: 'writes the whole table anew',
  rows: 'changes rows',
}

/** What one statement locks, as planned, or as it was seen on a copy. */
export function StatementLocks({
  statement,
  dry,
  alone,
}: {
  readonly statement: Statement
  readonly dry: DryStatement | undefined
  /** The file holds no other: its text stands beside. */
  readonly alone: boolean
}) {
  const { position, text, runs } = statement
  const { locks, blocking, work } = dry ?? statement
  return (
    <li className={blocking ? 'blocking' : undefined}>
      <div className="row small">
        <strong>Statement {position}</strong>
        {blocking && (
          <Chip tone="warn" icon="warning">
            Holds up traffic
          </Chip>
        )}
        <Chip tone={dry?.seen === true ? 'info' : 'idle'} icon={dry?.seen === true ? 'search' : 'info'}>
          {dry?.seen === true ? 'Seen' : 'Expected'}
        </Chip>
        <span className="second">
          {runs}; {TAKES[work]}
          {dry !== undefined && dry.estimateMs > 0 && `, about ${duration(dry.estimateMs)}`}
        </span>
      </div>
      {!alone && <pre className="mono">{text}</pre>}
      {locks.length === 0 ? (
        <p className="small second">Takes no lock on a table.</p>
      ) : (
        <ul className="small">
          {locks.map(({ mode, on, blocks, new: made }) => (
            <li key={`${mode} ${on}`}>
              <code>{mode}</code> on <code>{on}</code>:{' '}
              {made ? <span className="second">new, so nobody waits</span> : <>holds up {blocks}</>}
            </li>
          ))}
        </ul>
      )}
      {dry?.error !== undefined && <p className="small held-back">Failed: {dry.error}</p>}
      {dry !== undefined && dry.inTheWay.length > 0 && (
        <p className="small held-back">It would have waited for {dry.inTheWay.join('; ')}.</p>
      )}
      {dry !== undefined && dry.changes.length > 0 && (
        <details className="small">
          <summary>What it changed in the catalog</summary>
          <ul>
            {dry.changes.map((change) => (
              <li key={change}>{change}</li>
            ))}
          </ul>
        </details>
      )}
    </li>
  )
}
