import { Route, Switch } from 'wouter'
import { OverviewPage } from './overview/overview-page.tsx'
import { RevertProvider } from './revert/revert-provider.tsx'
import { SessionProvider } from './session/session.tsx'
import { lazyPage } from './shell/lazy-page.tsx'
import { NotFound } from './shell/not-found.tsx'
import { Shell } from './shell/shell.tsx'
import { ToastProvider } from './ui/toasts.tsx'

const MigrationPage = lazyPage(() => import('./migration/migration-page.tsx').then((of) => of.MigrationPage))
const IncidentsPage = lazyPage(() => import('./incidents/incidents-page.tsx').then((of) => of.IncidentsPage))
const IncidentPage = lazyPage(() => import('./incidents/incident-page.tsx').then((of) => of.IncidentPage))
const FleetPage = lazyPage(() => import('./fleet/fleet-page.tsx').then((of) => of.FleetPage))
const FlagsPage = lazyPage(() => import('./flags/flags-page.tsx').then((of) => of.FlagsPage))
const AlertsPage = lazyPage(() => import('./alerts/alerts-page.tsx').then((of) => of.AlertsPage))
const AuditPage = lazyPage(() => import('./audit/audit-page.tsx').then((of) => of.AuditPage))
const SettingsPage = lazyPage(() => import('./settings/settings-page.tsx').then((of) => of.SettingsPage))

export const App = () => (
  <SessionProvider>
    <ToastProvider>
      <RevertProvider>
        <Shell>
          <Switch>
            <Route path="/" component={OverviewPage} />
            <Route path="/migrations/:id/:tab?">
              {({ id, tab }) => <MigrationPage key={id} id={id} tab={tab} />}
            </Route>
            <Route path="/incidents" component={IncidentsPage} />
            <Route path="/incidents/:id">{({ id }) => <IncidentPage key={id} id={id} />}</Route>
            <Route path="/fleet" component={FleetPage} />
            <Route path="/flags" component={FlagsPage} />
            <Route path="/alerts" component={AlertsPage} />
            <Route path="/audit" component={AuditPage} />
            <Route path="/settings" component={SettingsPage} />
            <Route component={NotFound} />
          </Switch>
        </Shell>
      </RevertProvider>
    </ToastProvider>
  </SessionProvider>
)
