import { useEffect, useState } from 'react'
import { ago, duration, moment } from './format.ts'

const listeners = new Set<(now: number) => void>()
let timer: ReturnType<typeof setInterval> | undefined

function listen(listener: (now: number) => void): () => void {
  listeners.add(listener)
  timer ??= setInterval(() => {
    const now = Date.now()
    for (const each of listeners) each(now)
  }, 1_000)
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

/** The present time, told again each second: one timer for the whole page. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => listen(setNow), [])
  return now
}

export function Ago({ at }: { readonly at: number }) {
  const now = useNow()
  return (
    <time dateTime={new Date(at).toISOString()} title={moment(at)}>
      {ago(at, now)}
    </time>
  )
}

/** What is left until then. */
export function Left({ until }: { readonly until: number }) {
  const left = until - useNow()
  return <>{left <= 0 ? 'now' : duration(left)}</>
}

export function Moment({ at }: { readonly at: number }) {
  return <time dateTime={new Date(at).toISOString()}>{moment(at)}</time>
}
