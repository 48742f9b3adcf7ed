import { Icon } from '../ui/icon.tsx'
import { Left, useNow } from '../ui/time.tsx'
import { startAddress } from './offer.ts'
import { useSession } from './session.tsx'

/** Time to finish what one is at. */
const WARNED_MS = 5 * 60_000

/** Says that the session is about to end, before it ends in the middle of something. */
export function SessionEnd() {
  const { me } = useSession()
  const now = useNow()
  if (me.session === undefined || me.session.expiresAt - now > WARNED_MS) return null
  return (
    <div className="session-banner" role="status">
      <Icon name="clock" />
      <span>
        Your session ends in <Left until={me.session.expiresAt} />.
      </span>
      <a href={startAddress()}>Sign in again now; you come back to this page</a>
    </div>
  )
}
