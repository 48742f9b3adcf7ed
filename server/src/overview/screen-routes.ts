import type { Route } from '../http/route.ts'
import { sessionRoutes } from '../http/session-routes.ts'
import { filesRoute } from '../lint/files-route.ts'
import { type HealthRouteDeps, healthRoute } from '../telemetry/health-route.ts'
import { type OverviewRoutesDeps, overviewRoutes } from './overview-routes.ts'
import { type WayBackDeps, wayBackRoute } from './way-back-route.ts'

export interface ScreenRoutesDeps extends OverviewRoutesDeps, WayBackDeps, HealthRouteDeps {
  readonly db: WayBackDeps['db']
  readonly phases: HealthRouteDeps['phases']
}

/** What is asked by whoever shows migrations to people. */
export const screenRoutes = (deps: ScreenRoutesDeps): readonly Route[] => [
  ...overviewRoutes(deps),
  wayBackRoute(deps),
  filesRoute(deps),
  healthRoute(deps),
  ...sessionRoutes(),
]
