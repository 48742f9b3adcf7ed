import type { Schema } from '../api/client.ts'
import { Nothing } from '../shell/page.tsx'
import { Chip, type Tone } from '../ui/chip.tsx'
import { count, duration, percent } from '../ui/format.ts'
import type { IconName } from '../ui/icon.tsx'
import { Meter } from '../ui/meter.tsx'
import { Notice } from '../ui/notice.tsx'
import { Ago } from '../ui/time.tsx'
import { CopySection } from './copy-section.tsx'
import { Differences } from './differences.tsx'
import { FailedRows } from './failed-rows.tsx'
import type { Detail } from './migration-page.tsx'
import { Repairs } from './repairs.tsx'
import './data.css'

type Work = Schema<'Work'>

const STATUS: Readonly<Record<Work['status'], { word: string; icon: IconName; tone: Tone }>> = {
  pending: { word: 'Waiting', icon: 'clock', tone: 'idle' },
  running: { word: 'Running', icon: 'play', tone: 'info' },
  done: { word: 'Done', icon: 'check', tone: 'ok' },
  failed: { word: 'Failed', icon: 'stop', tone: 'bad' },
}

/** The database work of this migration: what runs now, and what came of what ran before. */
export function DataTab({ migration }: { readonly migration: Detail }) {
  const { id, works, state, gate, definition } = migration
  const repairs = gate.blockers.filter(({ code }) => code === 'repairs-open' || code === 'rows-failed')
  const copies = definition.copy !== undefined
  return (
    <div className="stack">
      <p className="row">
        <Proof path="old" complete={state.complete.old} />
        <Proof path="new" complete={state.complete.new} />
      </p>
      {repairs.map((blocker) => (
        <Notice key={blocker.subject} tone="warn" title={blocker.message}>
          {blocker.code === 'rows-failed'
            ? 'Mend them in old; then Retry backfill, above, copies them.'
            : blocker.action}
        </Notice>
      ))}
      {gate.blockers.some(({ code }) => code === 'rows-failed') && <FailedRows migration={id} />}
      {works.length === 0 ? (
        <Nothing title="No database work yet">The first is the expand, when it is advanced.</Nothing>
      ) : (
        <Works works={works.slice(0, 1)} migration={id} />
      )}
      {copies && state.phase !== 'planned' && <CopySection migration={migration} />}
      {copies && state.phase !== 'planned' && <Repairs migration={id} />}
      {works.length > 1 && (
        <section className="stack-s" aria-labelledby="before">
          <h3 id="before">Work before</h3>
          <Works works={works.slice(1)} migration={id} />
        </section>
      )}
    </div>
  )
}

const Works = ({ works, migration }: { readonly works: readonly Work[]; readonly migration: string }) => (
  <ul className="works">
    {works.map((work) => (
      <li key={`${work.kind} ${work.epoch}`}>
        <WorkItem work={work} migration={migration} />
      </li>
    ))}
  </ul>
)

const Proof = ({ path, complete }: { readonly path: 'old' | 'new'; readonly complete: boolean }) => (
  <Chip tone={complete ? path : 'idle'} icon={complete ? 'check' : 'clock'}>
    {path} {complete ? 'holds every write' : 'is not proven complete'}
  </Chip>
)

function WorkItem({ work, migration }: { readonly work: Work; readonly migration: string }) {
  const { progress } = work
  const status = STATUS[work.status]
  const under = work.status === 'running'
  const { done, total } = progress
  return (
    <article className="work">
      <div className="spread">
        <h3>
          {work.kind} <span className="muted small">epoch {work.epoch}</span>
        </h3>
        <Chip tone={status.tone} icon={status.icon}>
          {status.word}
        </Chip>
      </div>
      {under && (
        <>
          <p className="small">
            {progress.stage}
            {done !== undefined && `: ${count(done)}`}
            {total !== undefined && total > 0 && ` of ${count(total)} (${percent((done ?? 0) / total)})`}
            {progress.rate !== undefined && ` · ${count(progress.rate)} rows/s`}
            {progress.etaMs !== undefined && ` · ${duration(progress.etaMs)} left`}
          </p>
          {total !== undefined && total > 0 && (
            <Meter
              value={done ?? 0}
              max={total}
              tone={progress.throttledBy === undefined ? 'plain' : 'warn'}
            />
          )}
          {progress.throttledBy !== undefined && (
            <p className="small held-back">Held back by {progress.throttledBy}.</p>
          )}
        </>
      )}
      {work.error !== undefined && <Notice tone="bad" title={work.error} />}
      <p className="tiny muted">
        began <Ago at={work.startedAt} />
        {work.endedAt !== undefined && `, took ${duration(work.endedAt - work.startedAt)}`}
      </p>
      {work.result !== undefined && <Result result={work.result} migration={migration} />}
      {progress.detail !== undefined && under && <Facts of={progress.detail} />}
    </article>
  )
}

function Result(props: { readonly result: Readonly<Record<string, unknown>>; readonly migration: string }) {
  const { result, migration } = props
  const { mismatches, faults, ...rest } = result
  return (
    <>
      <Facts of={rest} />
      <Differences migration={migration} mismatches={mismatches} faults={faults} />
    </>
  )
}

const words = (name: string): string => name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`)

/** Longer texts are told apart from the figures. */
const SHORT = 24

/** Figures by name; what is neither figure nor text is for the audit log. */
function Facts({ of }: { readonly of: Readonly<Record<string, unknown>> }) {
  const texts = Object.entries(of).flatMap(([name, value]): [string, string][] => {
    if (typeof value === 'string') return [[name, value]]
    if (typeof value !== 'number') return []
    const ms = /^(.*?)(Ms|ms)$/.exec(name)
    return ms === null ? [[name, count(value)]] : [[ms[1] === '' ? 'time' : (ms[1] ?? name), duration(value)]]
  })
  const short = texts.filter(([, text]) => text.length <= SHORT)
  const long = texts.filter(([, text]) => text.length > SHORT)
  return (
    <>
      {short.length > 0 && (
        <dl className="figures-row">
          {short.map(([name, text]) => (
            <div key={name}>
              <dt>{words(name)}</dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
      )}
      {long.map(([name, text]) => (
        <p key={name} className="tiny muted wrap-anywhere">
          {words(name)}: {text}
        </p>
      ))}
    </>
  )
}
