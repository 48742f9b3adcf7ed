import { useState } from 'react'
import { Button } from '../ui/button.tsx'
import { Notice } from '../ui/notice.tsx'

/** A secret, the one time that it can be shown. */
export function ShownOnce({ text, onClose }: { readonly text: string; readonly onClose: () => void }) {
  return (
    <>
      <Notice tone="warn" title="It is shown this once only">
        Nobody can look it up later.
      </Notice>
      <pre className="code-block token-text">{text}</pre>
      <div className="actions">
        <CopyButton text={text} />
        <Button kind="primary" onPress={onClose}>
          I have kept it
        </Button>
      </div>
    </>
  )
}

export function CopyButton({ text, compact = false }: { readonly text: string; readonly compact?: boolean }) {
  const [copied, setCopied] = useState(false)
  return (
    <Button
      icon="copy"
      compact={compact}
      onPress={() => void navigator.clipboard?.writeText(text).then(() => setCopied(true))}
    >
      {copied ? 'Copied' : 'Copy'}
    </Button>
  )
}
