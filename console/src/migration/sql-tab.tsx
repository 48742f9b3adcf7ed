import type { Answer, Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { Chip } from '../ui/chip.tsx'
import { Notice, Trouble } from '../ui/notice.tsx'
import { DryRunHead, type DryStatement, useDryRun } from './dry-run.tsx'
import type { Detail } from './migration-page.tsx'
import { StatementLocks } from './statement-locks.tsx'
import './data.css'

type Finding = Answer<'GET /v1/migrations/{id}/files'>['findings'][number]

/** The SQL files; beside each what the lint found in it, and what its statements lock. */
export function SqlTab({ migration }: { readonly migration: Detail }) {
  const { id } = migration
  const { data, error } = useRead('GET /v1/migrations/{id}/files', { params: { id } })
  const plan = useRead('GET /v1/migrations/{id}/plan', { params: { id } })
  const run = useDryRun(id)
  if (data === undefined) return <Trouble error={error} />
  return (
    <div className="stack">
      <DryRunHead id={id} run={run} />
      {data.unreadable.map(({ file, line, message }) => (
        <Notice key={`${file} ${line}`} tone="bad" title={`${file}, line ${line} cannot be read`}>
          {message}
        </Notice>
      ))}
      {Object.entries(data.sql).map(([name, text]) => (
        <SqlFile
          key={name}
          name={name}
          text={String(text)}
          findings={data.findings.filter(({ file }) => file === `${name}.sql`)}
          statements={plan.data?.statements.filter(({ file }) => file === name) ?? []}
          dry={run?.current === true ? run.report.statements.filter(({ file }) => file === name) : []}
        />
      ))}
    </div>
  )
}

interface SqlFileProps {
  readonly name: string
  readonly text: string
  readonly findings: readonly Finding[]
  readonly statements: readonly Schema<'PlannedStatement'>[]
  readonly dry: readonly DryStatement[]
}

function SqlFile({ name, text, findings, statements, dry }: SqlFileProps) {
  const errors = findings.some(({ severity }) => severity === 'error')
  return (
    <section className="stack-s" aria-label={`${name}.sql`}>
      <div className="row">
        <h3>
          <code>{name}.sql</code>
        </h3>
        {findings.length === 0 ? (
          <Chip tone="ok" icon="check">
            Lint: nothing found
          </Chip>
        ) : (
          <Chip tone={errors ? 'bad' : 'warn'} icon="warning">
            Lint: {findings.length} found
          </Chip>
        )}
      </div>
      <div className="sql-file">
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
        <pre className="code-block numbered" tabIndex={0}>
          {text
            .trimEnd()
            .split('\n')
            .map((line, index) => (
              <span
                // biome-ignore lint/suspicious/noArrayIndexKey: lines are told apart by their number
                key={index}
                className={findings.some((finding) => finding.line === index + 1) ? 'line found' : 'line'}
              >
                {line === '' ? ' ' : line}
              </span>
            ))}
        </pre>
        <ul className="boxes statements">
          {statements.map((statement) => (
            <StatementLocks
              key={statement.position}
              statement={statement}
              alone={statements.length === 1}
              dry={dry.find(({ position }) => position === statement.position)}
            />
          ))}
        </ul>
      </div>
      {findings.map((finding) => (
        <LintFinding key={`${finding.rule} ${finding.line} ${finding.message}`} finding={finding} />
      ))}
    </section>
  )
}

function LintFinding({ finding }: { readonly finding: Finding }) {
  const { line, severity, message, lock, fix, rule } = finding
  return (
    <div className={`notice ${severity === 'error' ? 'bad' : 'warn'}`}>
      <span className="small mono">line {line}</span>
      <div className="stack-s small">
        <strong>{message}</strong>
        {lock !== undefined && (
          <span className="second">
            Takes {lock.mode} on {lock.on}, which blocks {lock.blocks}.
          </span>
        )}
        {fix !== undefined && <pre className="code-block">{fix}</pre>}
        <code className="muted">{rule}</code>
      </div>
    </div>
  )
}
