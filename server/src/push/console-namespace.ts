import type { DefaultEventsMap, Namespace } from 'socket.io'
import type { WorkProgress } from '../phases/phase-service.ts'
import { inScope } from '../tokens/tokens.ts'
import { createScopeRooms } from './scope-rooms.ts'

/** Progress of one piece of database work. */
export interface WorkUpdate {
  readonly migration: string
  readonly kind: string
  readonly epoch: number
  readonly progress: WorkProgress
}

/** Socket events, server to console. Hints to read again over REST, small on purpose. */
export interface ServerToConsole {
  revision: (body: { readonly revision: number; readonly subjects: readonly string[] }) => void
  progress: (body: WorkUpdate) => void
  /** Instances have come, gone, applied or drained an epoch of these. */
  fleet: (body: { readonly migrations: readonly string[] }) => void
}

/** Least time between two messages about the same work, or the same fleet. */
const PROGRESS_MS = 200

export function createConsoleNamespace(namespace: Namespace<DefaultEventsMap, ServerToConsole>) {
  const latest = new Map<string, WorkUpdate>()
  const moved = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  const rooms = createScopeRooms(namespace)
  namespace.on('connection', rooms.join)

  function send(): void {
    timer = undefined
    if (latest.size === 0 && moved.size === 0) return
    for (const { room, reader } of rooms.occupied()) {
      for (const update of latest.values()) {
        if (inScope(reader, update.migration)) namespace.to(room).emit('progress', update)
      }
      const migrations = [...moved].filter((migration) => inScope(reader, migration))
      if (migrations.length > 0) namespace.to(room).emit('fleet', { migrations })
    }
    latest.clear()
    moved.clear()
    timer = setTimeout(send, PROGRESS_MS)
  }

  return {
    /** Lists may have changed for everybody; which migrations are concerned is told within the scope. */
    revision(revision: number, subjects: readonly string[]): void {
      for (const { room, reader } of rooms.occupied()) {
        const told = subjects.filter((subject) => inScope(reader, subject))
        namespace.to(room).emit('revision', { revision, subjects: told })
      }
    },
    /** The first at once, later ones at most five times a second, the last one always. */
    progress(update: WorkUpdate): void {
      if (namespace.sockets.size === 0) return
      latest.set(JSON.stringify([update.migration, update.kind]), update)
      if (timer === undefined) send()
    },
    /** As with progress: a fleet of thousands acks within a second. */
    fleet(migrations: readonly string[]): void {
      if (namespace.sockets.size === 0) return
      for (const migration of migrations) moved.add(migration)
      if (timer === undefined) send()
    },
    stop(): void {
      clearTimeout(timer)
    },
  }
}
