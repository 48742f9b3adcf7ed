import { useCallback, useEffect, useRef, useState } from 'react'
import { createCaller, Problem } from '../api/client.ts'
import { Brand } from '../ui/brand.tsx'
import { Notice } from '../ui/notice.tsx'
import type { Me } from './me.ts'
import { askOffer, type Offer, startAddress, takeTrouble } from './offer.ts'
import { TokenForm } from './token-form.tsx'
import { troubleWords } from './trouble-words.ts'
import './sign-in.css'

const nothing = () => {}
/** A server that is starting again is waited for. */
const AGAIN_MS = 1_000

/** How a session before came to its end. */
export type Ended =
  /** The person signed out. */
  | 'left'
  /** The server knew the token no more. */
  | 'token-over'
  | 'session-over'
  /** The person signed out, and the server could not be told. */
  | 'not-ended'

interface SignInProps {
  readonly kept: string | undefined
  readonly ended: Ended | undefined
  /** Without a token the browser itself sends who it is, in a cookie. */
  readonly onSignedIn: (me: Me, token: string | undefined, keep: boolean) => void
}

const ENDED: Readonly<Record<Exclude<Ended, 'left'>, readonly [title: string, text: string]>> = {
  'token-over': ['The session has ended', 'The token has expired or was revoked.'],
  'session-over': ['Your session has ended', 'Sign in again; you come back to this page.'],
  'not-ended': [
    'You are not signed out yet',
    'The server could not be reached, so the session in this browser still holds. Reload the page and sign out again.',
  ],
}

export function SignIn({ kept, ended, onSignedIn }: SignInProps) {
  const [trouble, setTrouble] = useState<string | undefined>()
  const [returned, setReturned] = useState<string | undefined>()
  const [offer, setOffer] = useState<Offer | undefined>()
  const [asking, setAsking] = useState(kept !== undefined)
  const first = useRef(true)

  const enter = useCallback(
    async (token: string | undefined, keep: boolean) => {
      setAsking(true)
      setTrouble(undefined)
      try {
        const me = await createCaller({ token, onStranger: nothing })('GET /v1/me')
        if (me.permissions.read.includes(me.role)) {
          onSignedIn(me, token, keep)
          return
        }
        setTrouble(`This is a token of the role ${me.role}, which sees nothing here.`)
      } catch (error) {
        if (!(error instanceof Problem) && keep && first.current) {
          setTimeout(() => void enter(token, keep), AGAIN_MS)
          return
        }
        setTrouble(error instanceof Error ? error.message : 'That did not work.')
      }
      first.current = false
      setAsking(false)
    },
    [onSignedIn],
  )

  // biome-ignore lint/correctness/useExhaustiveDependencies: what this tab has is tried once
  useEffect(() => {
    let here = true
    setReturned((before) => before ?? takeTrouble())
    if (kept !== undefined) void enter(kept, true)
    async function look(): Promise<void> {
      const found = await askOffer().catch(() => undefined)
      if (!here) return
      if (found === undefined) {
        setTimeout(() => here && void look(), AGAIN_MS)
        return
      }
      setOffer(found)
      // Who has just signed out of a token does not find themselves signed in as somebody else.
      if (found.signedIn === true && kept === undefined && ended === undefined) void enter(undefined, true)
    }
    void look()
    return () => {
      here = false
    }
  }, [])

  const why = returned === undefined ? undefined : troubleWords(returned, offer?.name)
  const before = ended === undefined || ended === 'left' ? undefined : ENDED[ended]
  return (
    <main className="sign-in">
      <div className="card sign-in-card" aria-busy={asking}>
        <Brand />
        <h1>Sign in</h1>
        {before !== undefined && trouble === undefined && (
          <Notice tone="warn" title={before[0]}>
            {before[1]}
          </Notice>
        )}
        {why !== undefined && (
          <div role="alert">
            <Notice tone="bad" title={why.title}>
              {why.text}
            </Notice>
          </div>
        )}
        {offer?.offered === true && (
          <>
            <a className="button primary" href={startAddress()}>
              Sign in with {offer.name}
            </a>
            <p className="sign-in-or small muted">or with a token</p>
          </>
        )}
        <TokenForm
          primary={offer?.offered !== true}
          asking={asking}
          trouble={trouble}
          onTrouble={setTrouble}
          onToken={(token, keep) => {
            first.current = false
            void enter(token, keep)
          }}
        />
      </div>
    </main>
  )
}
