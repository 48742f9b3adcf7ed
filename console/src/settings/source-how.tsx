import { CopyButton } from './shown-once.tsx'
import { SET_UP, type SourceKind } from './source-setup.ts'

interface SourceHowProps {
  readonly kind: SourceKind
  readonly path: string
  readonly secret?: string | undefined
}

/** What to paste into the alerting system. */
export function SourceHow({ kind, path, secret = '<secret>' }: SourceHowProps) {
  const { where, paste } = SET_UP[kind]
  const text = paste(new URL(path, location.origin).href, secret)
  return (
    <div className="stack-s">
      <p className="small second">{where}</p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <pre className="code-block" tabIndex={0}>
        {text}
      </pre>
      <div>
        <CopyButton compact text={text} />
      </div>
    </div>
  )
}
