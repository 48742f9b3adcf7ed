import { Tooltip } from '@base-ui/react/tooltip'
import { Route, Switch } from 'wouter'
import { MigrationPage } from './migration/migration-page.tsx'
import { OverviewPage } from './overview/overview-page.tsx'
import { RevertProvider } from './revert/revert-provider.tsx'
import { SessionProvider } from './session/session.tsx'
import { NotFound } from './shell/not-found.tsx'
import { Shell } from './shell/shell.tsx'
import { ToastProvider } from './ui/toasts.tsx'

export const App = () => (
  <Tooltip.Provider>
    <SessionProvider>
      <ToastProvider>
        <RevertProvider>
          <Shell>
            <Switch>
              <Route path="/" component={OverviewPage} />
              <Route path="/migrations/:id/:tab?">
                {({ id, tab }) => <MigrationPage key={id} id={id} tab={tab} />}
              </Route>
              <Route component={NotFound} />
            </Switch>
          </Shell>
        </RevertProvider>
      </ToastProvider>
    </SessionProvider>
  </Tooltip.Provider>
)
