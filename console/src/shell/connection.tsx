import { useConnection } from '../live/live.tsx'
import { clockTime, duration } from '../ui/format.ts'
import { Icon } from '../ui/icon.tsx'
import { useNow } from '../ui/time.tsx'

const WORDS = { connecting: 'Connecting', live: 'Live', lost: 'Disconnected' } as const

export function ConnectionMark() {
  const { state } = useConnection()
  return (
    <span className={`connection-mark ${state}`} role="status">
      <i aria-hidden="true" />
      <span>{WORDS[state]}</span>
    </span>
  )
}

/** Nobody may take figures of a while ago for those of now. */
export function ConnectionBanner() {
  const connection = useConnection()
  const now = useNow()
  if (connection.state !== 'lost') return null
  return (
    <div className="connection-banner" role="alert">
      <Icon name="plug" />
      <span>Connection lost.</span>
      <span>
        What you see is as of {clockTime(connection.since)},{' '}
        {duration(Math.max(1_000, now - connection.since))} ago. Trying again…
      </span>
    </div>
  )
}
