import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useMemo, useState } from 'react'
import { createCaller, Problem } from '../api/client.ts'
import { CallContext } from '../api/use-api.ts'
import { LiveProvider } from '../live/live.tsx'
import { forgetToken, keepToken, keptToken } from './kept-token.ts'
import type { Me, Permission } from './me.ts'
import { SignIn } from './sign-in.tsx'

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
  readonly token: string
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

/** Lets in who has a token, and gives all below it the API and the news. */
export function SessionProvider({ children }: { readonly children: ReactNode }) {
  const [signedIn, setSignedIn] = useState<SignedIn | undefined>()
  const [ended, setEnded] = useState(false)
  const session = useMemo(() => {
    if (signedIn === undefined) return undefined
    const { me, token } = signedIn
    const leave = (why: boolean) => {
      forgetToken()
      setEnded(why)
      setSignedIn(undefined)
    }
    return {
      token,
      call: createCaller({ token, onStranger: () => leave(true) }),
      client: createClient(),
      value: {
        me,
        signOut: () => leave(false),
        whyNot: (permission: Permission) => {
          const roles = me.permissions[permission]
          if (roles.includes(me.role)) return undefined
          return `Your role is ${me.role}; this takes ${roles.join(', ').replace(/, (\w+)$/, ' or $1')}.`
        },
      },
    }
  }, [signedIn])

  if (session === undefined) {
    return (
      <SignIn
        kept={keptToken()}
        ended={ended}
        onSignedIn={(me, token, keep) => {
          keepToken(token, keep)
          setEnded(false)
          setSignedIn({ me, token })
        }}
      />
    )
  }
  return (
    <QueryClientProvider client={session.client}>
      <CallContext value={session.call}>
        <SessionContext value={session.value}>
          <LiveProvider token={session.token} onStranger={session.value.signOut}>
            {children}
          </LiveProvider>
        </SessionContext>
      </CallContext>
    </QueryClientProvider>
  )
}
