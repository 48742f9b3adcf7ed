import { useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useEffect, useState } from 'react'
import { io, type Socket } from 'socket.io-client'
import { patchProgress, type WorkUpdate } from './patch-progress.ts'
import { createRefresher } from './refresher.ts'

/** Whether what is shown is what is true now. */
export type Connection =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  | { readonly state: 'lost'; readonly since: number }

const LiveContext = createContext<Connection>({ state: 'connecting' })
export const useConnection = (): Connection => useContext(LiveContext)

interface ServerEvents {
  revision: (body: { readonly revision: number; readonly subjects: readonly string[] }) => void
  fleet: (body: { readonly migrations: readonly string[] }) => void
  progress: (body: WorkUpdate) => void
}

interface Refusal extends Error {
  readonly data?: { readonly retryable?: boolean }
}

/** The time after which a server that turned the socket away is asked again. */
const AGAIN_MS = 1_000

interface LiveProps {
  /** Undefined where the browser itself sends who it is, in a cookie. */
  readonly token: string | undefined
  readonly onStranger: () => void
  readonly children: ReactNode
}

/** Listens to the server, and has what is shown read again as soon as it has changed. */
export function LiveProvider({ token, onStranger, children }: LiveProps) {
  const client = useQueryClient()
  const [connection, setConnection] = useState<Connection>({ state: 'connecting' })

  useEffect(() => {
    const socket: Socket<ServerEvents> = io('/console', {
      transports: ['websocket'],
      auth: token === undefined ? {} : { token },
      reconnectionDelay: 200,
      reconnectionDelayMax: 2_000,
    })
    const refresher = createRefresher(client)
    let again: ReturnType<typeof setTimeout> | undefined
    const lose = () => {
      setConnection((now) => (now.state === 'lost' ? now : { state: 'lost', since: Date.now() }))
    }
    // A socket that the server itself has turned away does not come back by itself.
    const retry = () => {
      clearTimeout(again)
      again = setTimeout(() => socket.connect(), AGAIN_MS)
    }
    socket.on('connect', () => {
      setConnection({ state: 'live' })
      refresher.all()
    })
    socket.on('disconnect', (reason) => {
      lose()
      if (reason === 'io server disconnect') retry()
    })
    socket.on('connect_error', (error: Refusal) => {
      if (error.data?.retryable === false) onStranger()
      else {
        lose()
        if (!socket.active) retry()
      }
    })
    socket.on('revision', ({ subjects }) => refresher.changed(subjects))
    socket.on('fleet', ({ migrations }) => refresher.fleet(migrations))
    socket.on('progress', (update) => patchProgress(client, update))
    const online = () => void socket.disconnect().connect()
    window.addEventListener('offline', lose)
    window.addEventListener('online', online)
    return () => {
      clearTimeout(again)
      refresher.stop()
      window.removeEventListener('offline', lose)
      window.removeEventListener('online', online)
      socket.disconnect()
    }
  }, [client, token, onStranger])

  useEffect(() => {
    document.documentElement.dataset.connection = connection.state
  }, [connection.state])

  return <LiveContext value={connection}>{children}</LiveContext>
}
