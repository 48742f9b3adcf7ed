import type { Answer } from '../api/client.ts'
import { useChange, useRead } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { count, duration } from '../ui/format.ts'
import { Notice, Trouble } from '../ui/notice.tsx'
import { Ago, useNow } from '../ui/time.tsx'

type Run = NonNullable<Answer<'GET /v1/migrations/{id}/dry-run'>['run']>
export type DryStatement = Run['report']['statements'][number]

export const useDryRun = (id: string) =>
  useRead('GET /v1/migrations/{id}/dry-run', { params: { id } }).data?.run

/** Runs the files on a copy of the schema, and says what came of it; each statement stands with its file. */
export function DryRunHead({ id, run }: { readonly id: string; readonly run: Run | undefined }) {
  const { whyNot } = useSession()
  const start = useChange('POST /v1/migrations/{id}/dry-run')
  return (
    <section className="stack-s" aria-labelledby="dry-run">
      <div className="spread">
        <h3 id="dry-run">Dry run</h3>
        <Button
          compact
          icon="play"
          busy={start.isPending}
          whyNot={whyNot('operate')}
          onPress={() => start.mutate({ params: { id } })}
        >
          {start.isPending ? 'Running…' : run === undefined ? 'Run it' : 'Run it again'}
        </Button>
      </div>
      {start.isPending ? (
        <Waiting since={start.submittedAt} />
      ) : run === undefined ? (
        <p className="small second">
          Runs the files on a copy of the target's schema without rows, and sees which locks each statement
          takes. Nobody waits for it.
        </p>
      ) : (
        <Outcome run={run} />
      )}
      <Trouble error={start.error} />
    </section>
  )
}

function Waiting({ since }: { readonly since: number }) {
  const now = useNow()
  return (
    <p className="small second" role="status">
      Reading the schema, making it anew, running the files there: {duration(Math.max(0, now - since))}…
    </p>
  )
}

function Outcome({ run }: { readonly run: Run }) {
  const { at, by, current, report } = run
  const { ok, statements, skipped, rollbackLeaves, notCopied, tables } = report
  const blocking = statements.filter((statement) => statement.blocking).length
  return (
    <>
      <p className="row small">
        <Chip tone={ok ? 'ok' : 'bad'} icon={ok ? 'check' : 'stop'}>
          {ok ? 'Every statement ran' : 'A statement failed'}
        </Chip>
        {blocking > 0 && (
          <Chip tone="warn" icon="warning">
            {blocking} would hold up traffic
          </Chip>
        )}
        <span className="second">
          {report.ran}, PostgreSQL {report.version.scratch ?? report.version.target}, by {by} <Ago at={at} />
        </span>
      </p>
      {!current && (
        <Notice tone="warn" title="It was of other files than those that are registered now">
          Run it again to see what these do.
        </Notice>
      )}
      {rollbackLeaves.length > 0 && (
        <Notice tone="warn" title="rollback.sql does not undo everything">
          <ul>
            {rollbackLeaves.map((left) => (
              <li key={left}>{left}</li>
            ))}
          </ul>
        </Notice>
      )}
      {skipped.length > 0 && (
        <p className="small second">
          Not run: {skipped.map(({ file, reason }) => `${file}.sql (${reason})`).join('; ')}.
        </p>
      )}
      {notCopied.length > 0 && (
        <p className="small second wrap-anywhere">
          Not copied: {notCopied.map(({ object, reason }) => `${object} (${reason})`).join('; ')}.
        </p>
      )}
      {tables.length > 0 && (
        <ul className="small second">
          {tables.map(({ table, rows, totalBytes, readsPerSecond, writesPerSecond }) => (
            <li key={table}>
              <code>{table}</code>: {count(rows)} rows, {count(totalBytes / 1e6)} MB, {count(readsPerSecond)}{' '}
              reads/s, {count(writesPerSecond)} writes/s
            </li>
          ))}
        </ul>
      )}
    </>
  )
}
