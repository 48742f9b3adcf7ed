import { Route, Switch } from 'wouter'
import { AlertsPage } from './alerts/alerts-page.tsx'
import { AuditPage } from './audit/audit-page.tsx'
import { FlagsPage } from './flags/flags-page.tsx'
import { FleetPage } from './fleet/fleet-page.tsx'
import { IncidentPage } from './incidents/incident-page.tsx'
import { IncidentsPage } from './incidents/incidents-page.tsx'
import { MigrationPage } from './migration/migration-page.tsx'
import { OverviewPage } from './overview/overview-page.tsx'
import { RevertProvider } from './revert/revert-provider.tsx'
import { SessionProvider } from './session/session.tsx'
import { SettingsPage } from './settings/settings-page.tsx'
import { NotFound } from './shell/not-found.tsx'
import { Shell } from './shell/shell.tsx'
import { ToastProvider } from './ui/toasts.tsx'

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
