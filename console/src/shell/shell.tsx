import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import { useRead } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { SessionEnd } from '../session/session-end.tsx'
import { Brand } from '../ui/brand.tsx'
import { Button } from '../ui/button.tsx'
import { Icon, type IconName } from '../ui/icon.tsx'
import { ConnectionBanner, ConnectionMark } from './connection.tsx'
import { ThemeChoice } from './theme.tsx'
import './shell.css'

interface Place {
  readonly to: string
  readonly name: string
  readonly icon: IconName
}

const PLACES: readonly Place[] = [
  { to: '/', name: 'Overview', icon: 'overview' },
  { to: '/incidents', name: 'Incidents', icon: 'incident' },
  { to: '/fleet', name: 'Fleet', icon: 'fleet' },
  { to: '/flags', name: 'Flags', icon: 'flag' },
  { to: '/alerts', name: 'Alerts', icon: 'alert' },
  { to: '/audit', name: 'Audit', icon: 'audit' },
  { to: '/settings', name: 'Settings', icon: 'settings' },
]

const isAt = (place: string, location: string): boolean =>
  place === '/' ? location === '/' || location.startsWith('/migrations') : location.startsWith(place)

/** What stands round every page: where one is, who one is, and whether the figures are of now. */
export function Shell({ children }: { readonly children: ReactNode }) {
  const [location] = useLocation()
  const open = useRead('GET /v1/incidents', { query: { status: 'open', limit: 100 } })
  const incidents = open.data?.incidents.length ?? 0
  return (
    <div className="shell">
      <a className="skip-link" href="#content">
        Skip to the content
      </a>
      <header className="shell-side">
        <Link href="/" className="brand-link" aria-label="Switchback, to the overview">
          <Brand />
        </Link>
        <nav aria-label="Pages">
          {PLACES.map(({ to, name, icon }) => (
            <Link key={to} href={to} aria-current={isAt(to, location) ? 'page' : undefined}>
              <Icon name={icon} size={15} />
              <span>{name}</span>
              {to === '/incidents' && incidents > 0 && (
                <span className="nav-count">
                  {incidents}
                  <span className="hidden-text"> open</span>
                </span>
              )}
            </Link>
          ))}
        </nav>
        <Person />
      </header>
      <div className="shell-main">
        <ConnectionBanner />
        <SessionEnd />
        <main id="content" tabIndex={-1}>
          {children}
        </main>
      </div>
    </div>
  )
}

function Person() {
  const { me, signOut } = useSession()
  return (
    <div className="shell-person">
      <ConnectionMark />
      <ThemeChoice />
      <div className="person-name">
        <strong title={me.name}>{me.name}</strong>
        <span className="tiny muted">
          {me.role}, by {me.session?.provider ?? 'token'}
          {me.migrations !== undefined && `, for ${me.migrations.join(', ')}`}
        </span>
      </div>
      <Button kind="quiet" compact icon="leave" onPress={signOut} label="Sign out" />
    </div>
  )
}
