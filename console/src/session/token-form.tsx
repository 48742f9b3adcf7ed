import { type FormEvent, useState } from 'react'
import { Button } from '../ui/button.tsx'
import { Notice } from '../ui/notice.tsx'

interface TokenFormProps {
  /** Whether this is the way in that most people take. */
  readonly primary: boolean
  readonly asking: boolean
  readonly trouble: string | undefined
  readonly onTrouble: (trouble: string) => void
  readonly onToken: (token: string, keep: boolean) => void
}

export function TokenForm({ primary, asking, trouble, onTrouble, onToken }: TokenFormProps) {
  const [text, setText] = useState('')
  const [keep, setKeep] = useState(true)

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (text.trim() === '') onTrouble('Paste a token first.')
    else onToken(text.trim(), keep)
  }

  return (
    <form onSubmit={submit} className="sign-in-form">
      <label className="field">
        <span>Token</span>
        <input
          className="input mono"
          type="password"
          name="token"
          autoComplete="off"
          spellCheck={false}
          value={text}
          aria-invalid={trouble !== undefined}
          aria-describedby="sign-in-help"
          onChange={(event) => setText(event.target.value)}
        />
      </label>
      <label className="row small">
        <input type="checkbox" checked={keep} onChange={(event) => setKeep(event.target.checked)} />
        Keep it while this tab is open
      </label>
      <div aria-live="assertive">{trouble !== undefined && <Notice tone="bad" title={trouble} />}</div>
      <Button kind={primary ? 'primary' : 'plain'} type="submit" busy={asking}>
        {asking ? 'Signing in…' : 'Sign in'}
      </Button>
      <p id="sign-in-help" className="small muted">
        The first admin token is in <code>.switchback/admin-token</code>; make others under Settings or with{' '}
        <code>switchback token create</code>.
      </p>
    </form>
  )
}
