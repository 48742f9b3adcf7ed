import type { ReactNode } from 'react'
import { Problem } from '../api/client.ts'
import { Icon } from './icon.tsx'

interface NoticeProps {
  readonly tone?: 'info' | 'ok' | 'warn' | 'bad'
  readonly title: ReactNode
  readonly children?: ReactNode
}

const ICONS = { info: 'info', ok: 'check', warn: 'warning', bad: 'stop' } as const

export function Notice({ tone = 'info', title, children }: NoticeProps) {
  return (
    <div className={`notice ${tone}`}>
      <Icon name={ICONS[tone]} />
      <div className="stack-s">
        <strong>{title}</strong>
        {children !== undefined && <div className="small second">{children}</div>}
      </div>
    </div>
  )
}

/** What the server refused, in its words, with what to do about it. */
export function Trouble({ error }: { readonly error: unknown }) {
  if (error === null || error === undefined) return null
  const problem = error instanceof Problem ? error : undefined
  const message = error instanceof Error ? error.message : 'Something went wrong.'
  return (
    <div role="alert">
      <Notice tone="bad" title={message}>
        {problem?.action}
        {problem?.blockers !== undefined && (
          <ul>
            {problem.blockers.map((blocker) => (
              <li key={`${blocker.code} ${blocker.subject}`}>{blocker.message}</li>
            ))}
          </ul>
        )}
        {problem?.fields !== undefined && (
          <ul>
            {problem.fields.map((field) => (
              <li key={`${field.path} ${field.message}`}>
                <code>{field.path}</code> {field.message}
              </li>
            ))}
          </ul>
        )}
      </Notice>
    </div>
  )
}
