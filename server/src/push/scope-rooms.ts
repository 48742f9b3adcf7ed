import { createHash } from 'node:crypto'
import type { Socket } from 'socket.io'
import { type Scoped, scopeKey } from '../tokens/tokens.ts'
import { identityOf } from './authentication.ts'

type Member = Pick<Socket, 'data' | 'join' | 'leave'>

/** One room for each scope that is connected, so that what is told to it is encoded once. */
export interface ScopeRooms {
  join(socket: Member): void
  leave(socket: Member): void
  /** The rooms that somebody is in, with what may be heard there. */
  occupied(): readonly { readonly room: string; readonly reader: Scoped }[]
}

/** Whoever was not let in hears of nothing. */
const NOBODY: Scoped = { migrations: [] }

/** For whom the token of a socket is. */
export const readerOf = (socket: Pick<Socket, 'data'>): Scoped => identityOf(socket) ?? NOBODY

/** A digest: a scope may name a thousand migrations, and every socket keeps the name of its room. */
function roomOf(reader: Scoped): string {
  const key = scopeKey(reader)
  return key === undefined ? 'everything' : `scope:${createHash('sha256').update(key).digest('base64url')}`
}

export function createScopeRooms(namespace: {
  readonly adapter: { readonly rooms: ReadonlyMap<string, unknown> }
}): ScopeRooms {
  const readers = new Map<string, Scoped>()
  const names = new WeakMap<Member, string>()

  function nameFor(socket: Member): string {
    const name = names.get(socket) ?? roomOf(readerOf(socket))
    names.set(socket, name)
    return name
  }

  return {
    join(socket) {
      const room = nameFor(socket)
      readers.set(room, readerOf(socket))
      socket.join(room)
    },
    leave: (socket) => void socket.leave(nameFor(socket)),
    occupied() {
      for (const room of readers.keys()) if (!namespace.adapter.rooms.has(room)) readers.delete(room)
      return [...readers].map(([room, reader]) => ({ room, reader }))
    },
  }
}
