import { useRead } from '../api/use-api.ts'
import { Chip } from '../ui/chip.tsx'
import { Trouble } from '../ui/notice.tsx'
import type { Detail } from './migration-page.tsx'
import './data.css'

/** The SQL files with what the lint found in them, each finding beside its line. */
export function SqlTab({ migration }: { readonly migration: Detail }) {
  const { data, error } = useRead('GET /v1/migrations/{id}/files', { params: { id: migration.id } })
  if (data === undefined) return <Trouble error={error} />
  return (
    <div className="stack">
      {Object.entries(data.sql).map(([name, text]) => {
        const findings = data.findings.filter((finding) => finding.file === `${name}.sql`)
        return (
          <section key={name} className="stack-s" aria-label={`${name}.sql`}>
            <div className="row">
              <h3>
                <code>{name}.sql</code>
              </h3>
              {findings.length === 0 ? (
                <Chip tone="ok" icon="check">
                  Nothing found
                </Chip>
              ) : (
                <Chip
                  tone={findings.some(({ severity }) => severity === 'error') ? 'bad' : 'warn'}
                  icon="warning"
                >
                  {findings.length} found
                </Chip>
              )}
            </div>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
            <pre className="code-block numbered" tabIndex={0}>
              {String(text)
                .trimEnd()
                .split('\n')
                .map((line, index) => {
                  const here = findings.filter((finding) => finding.line === index + 1)
                  return (
                    // biome-ignore lint/suspicious/noArrayIndexKey: lines are told apart by their number
                    <span key={index} className={here.length > 0 ? 'line found' : 'line'}>
                      {line === '' ? ' ' : line}
                    </span>
                  )
                })}
            </pre>
            {findings.map((finding) => (
              <div
                key={`${finding.rule} ${finding.line} ${finding.message}`}
                className={`notice ${finding.severity === 'error' ? 'bad' : 'warn'}`}
              >
                <span className="small mono">{finding.line}</span>
                <div className="stack-s small">
                  <strong>{finding.message}</strong>
                  {finding.lock !== undefined && (
                    <span className="second">
                      Takes {finding.lock.mode} on {finding.lock.on}, which blocks {finding.lock.blocks}.
                    </span>
                  )}
                  {finding.fix !== undefined && <pre className="code-block">{finding.fix}</pre>}
                  <code className="muted">{finding.rule}</code>
                </div>
              </div>
            ))}
          </section>
        )
      })}
    </div>
  )
}
