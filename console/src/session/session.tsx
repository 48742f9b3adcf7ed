import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useMemo, useState } from 'react'
import { createCaller, Problem } from '../api/client.ts'
import { CallContext } from '../api/use-api.ts'
import { LiveProvider } from '../live/live.tsx'
import { forgetToken, keepToken, keptToken } from './kept-token.ts'
import type { Me, Permission } from './me.ts'
import { type Ended, SignIn } from './sign-in.tsx'

interface Session {
  readonly me: Me
  readonly signOut: () => void
  /** Undefined where it is allowed, otherwise why it is not. */
  readonly whyNot: (permission: Permission) => string | undefined
}

const SessionContext = createContext<Session | undefined>(undefined)

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (session === undefined) throw new Error('used outside of a session')
  return session
}

interface SignedIn {
  readonly me: Me
  /** Undefined where the browser itself sends who it is, in a cookie. */
  readonly token: string | undefined
}

const createClient = () =>
  new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 2_000,
        retry: (count, error) => !(error instanceof Problem) && count < 3,
        retryDelay: (attempt) => Math.min(4_000, 250 * 2 ** attempt),
        refetchOnWindowFocus: true,
        // Whether there is a network is found out by asking.
        networkMode: 'always',
      },
      mutations: { networkMode: 'always', retry: false },
    },
  })

/** Why a permission is lacking, and where it would come from. */
function lacking({ role, permissions, session }: Me, permission: Permission): string | undefined {
  const roles = permissions[permission]
  if (roles.includes(role)) return undefined
  const takes = roles.join(', ').replace(/, (\w+)$/, ' or $1')
  const from = session === undefined ? '' : ` Roles come from your groups at ${session.provider}.`
  return `Your role is ${role}; this takes ${takes}.${from}`
}

/** Lets in who has a token or a session, and gives all below it the API and the news. */
export function SessionProvider({ children }: { readonly children: ReactNode }) {
  const [signedIn, setSignedIn] = useState<SignedIn | undefined>()
  const [ended, setEnded] = useState<Ended | undefined>()
  const session = useMemo(() => {
    if (signedIn === undefined) return undefined
    const { me, token } = signedIn
    const leave = (how: Ended) => {
      forgetToken()
      setEnded(how)
      setSignedIn(undefined)
    }
    const expire = () => leave(token === undefined ? 'session-over' : 'token-over')
    const call = createCaller({ token, onStranger: expire })
    const endSession = async () => {
      try {
        const { next } = await createCaller({ token, onStranger: () => {} })('POST /v1/sign-out')
        if (next === undefined) leave('left')
        else location.assign(next)
      } catch (error) {
        // Who is a stranger already has nothing that could be ended.
        leave(error instanceof Problem && error.status === 401 ? 'left' : 'not-ended')
      }
    }
    return {
      token,
      call,
      expire,
      client: createClient(),
      value: {
        me,
        signOut: () => {
          if (token === undefined) void endSession()
          else leave('left')
        },
        whyNot: (permission: Permission) => lacking(me, permission),
      },
    }
  }, [signedIn])

  if (session === undefined) {
    return (
      <SignIn
        kept={keptToken()}
        ended={ended}
        onSignedIn={(me, token, keep) => {
          if (token !== undefined) keepToken(token, keep)
          setEnded(undefined)
          setSignedIn({ me, token })
        }}
      />
    )
  }
  return (
    <QueryClientProvider client={session.client}>
      <CallContext value={session.call}>
        <SessionContext value={session.value}>
          <LiveProvider token={session.token} onStranger={session.expire}>
            {children}
          </LiveProvider>
        </SessionContext>
      </CallContext>
    </QueryClientProvider>
  )
}
