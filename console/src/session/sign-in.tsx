import { type FormEvent, useCallback, useEffect, useRef, useState } from 'react'
import { createCaller, Problem } from '../api/client.ts'
import { Brand } from '../ui/brand.tsx'
import { Button } from '../ui/button.tsx'
import { Notice } from '../ui/notice.tsx'
import type { Me } from './me.ts'
import './sign-in.css'

const nothing = () => {}
/** A server that is starting again is waited for. */
const AGAIN_MS = 1_000

interface SignInProps {
  readonly kept: string | undefined
  /** Whether a session has just come to its end by the server's word. */
  readonly ended: boolean
  readonly onSignedIn: (me: Me, token: string, keep: boolean) => void
}

export function SignIn({ kept, ended, onSignedIn }: SignInProps) {
  const [text, setText] = useState('')
  const [keep, setKeep] = useState(true)
  const [trouble, setTrouble] = useState<string | undefined>()
  const [asking, setAsking] = useState(kept !== undefined)
  const first = useRef(true)

  const enter = useCallback(
    async (token: string, isKept: boolean) => {
      setAsking(true)
      setTrouble(undefined)
      try {
        const me = await createCaller({ token, onStranger: nothing })('GET /v1/me')
        if (me.permissions.read.includes(me.role)) {
          onSignedIn(me, token, isKept)
          return
        }
        setTrouble(`This is a token of the role ${me.role}, which sees nothing here.`)
      } catch (error) {
        if (!(error instanceof Problem) && isKept && first.current) {
          setTimeout(() => void enter(token, isKept), AGAIN_MS)
          return
        }
        setTrouble(error instanceof Error ? error.message : 'That did not work.')
      }
      first.current = false
      setAsking(false)
    },
    [onSignedIn],
  )

  // biome-ignore lint/correctness/useExhaustiveDependencies: the token of this tab is tried once
  useEffect(() => {
    if (kept !== undefined) void enter(kept, true)
  }, [])

  const submit = (event: FormEvent) => {
    event.preventDefault()
    first.current = false
    if (text.trim() === '') setTrouble('Paste a token first.')
    else void enter(text.trim(), keep)
  }

  return (
    <main className="sign-in">
      <form onSubmit={submit} className="card" aria-busy={asking}>
        <Brand />
        <h1>Sign in</h1>
        {ended && trouble === undefined && (
          <Notice tone="warn" title="The session has ended">
            The token has expired or was revoked.
          </Notice>
        )}
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
        <Button kind="primary" type="submit" busy={asking}>
          {asking ? 'Signing in…' : 'Sign in'}
        </Button>
        <p id="sign-in-help" className="small muted">
          The first admin token is in <code>.switchback/admin-token</code>; make others under Settings or with{' '}
          <code>switchback token create</code>.
        </p>
      </form>
    </main>
  )
}
