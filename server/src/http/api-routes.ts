import type { AlertRoutesDeps } from '../alerts/alert-routes.ts'
import { alertRoutes } from '../alerts/alert-routes.ts'
import type { Audit } from '../audit/audit.ts'
import { auditRoutes } from '../audit/audit-routes.ts'
import { deploymentRoutes } from '../deployments/deployment-routes.ts'
import type { FlagRoutesDeps } from '../flags/flag-routes.ts'
import { flagRoutes } from '../flags/flag-routes.ts'
import { ofrepRoutes } from '../flags/ofrep-routes.ts'
import type { Fleet } from '../fleet/fleet-port.ts'
import { incidentRoutes } from '../incidents/incident-routes.ts'
import type { Incidents } from '../incidents/incidents.ts'
import type { ChannelRoutesDeps } from '../notifications/channel-routes.ts'
import { channelRoutes } from '../notifications/channel-routes.ts'
import { type ScreenRoutesDeps, screenRoutes } from '../overview/screen-routes.ts'
import { type PollingRoutesDeps, pollingRoutes } from '../polling/polling-routes.ts'
import type { ReviewRoutesDeps } from '../review/review-routes.ts'
import { reviewRoutes } from '../review/review-routes.ts'
import { type PeopleRoutesDeps, peopleRoutes } from '../sign-on/people-routes.ts'
import { sourceRoutes } from '../sources/source-routes.ts'
import type { Sources } from '../sources/sources.ts'
import { tokenRoutes } from '../tokens/token-routes.ts'
import type { Tokens } from '../tokens/tokens.ts'
import { type TripwireRoutesDeps, tripwireRoutes } from '../tripwires/tripwire-routes.ts'
import { commandRoutes } from './command-routes.ts'
import { type CopyRoutesDeps, copyRoutes } from './copy-routes.ts'
import { type DriftRoutesDeps, driftRoutes } from './drift-routes.ts'
import { instanceRoutes } from './instance-routes.ts'
import type { MigrationRoutesDeps } from './migration-routes.ts'
import { migrationRoutes } from './migration-routes.ts'
import { type RegisterRouteDeps, registerRoute } from './register-route.ts'
import type { Route } from './route.ts'

export interface ApiDeps
  extends DriftRoutesDeps,
    MigrationRoutesDeps,
    AlertRoutesDeps,
    CopyRoutesDeps,
    FlagRoutesDeps,
    ChannelRoutesDeps,
    ReviewRoutesDeps,
    PollingRoutesDeps,
    TripwireRoutesDeps,
    ScreenRoutesDeps,
    PeopleRoutesDeps,
    Pick<RegisterRouteDeps, 'stepMissing'> {
  readonly fleet: Omit<Fleet, 'onProgress' | 'stop'>
  readonly incidents: Incidents
  readonly audit: Audit
  readonly tokens: Tokens
  readonly sources: Sources
}

/** Every route of the API. */
export const apiRoutes = (deps: ApiDeps): readonly Route[] => [
  ...migrationRoutes(deps),
  ...screenRoutes(deps),
  ...tripwireRoutes(deps),
  ...copyRoutes(deps),
  registerRoute(deps),
  ...commandRoutes(deps),
  ...driftRoutes(deps),
  ...flagRoutes(deps),
  ...ofrepRoutes(deps),
  ...instanceRoutes(deps),
  ...deploymentRoutes(deps),
  ...alertRoutes(deps),
  ...sourceRoutes(deps),
  ...incidentRoutes(deps),
  ...auditRoutes(deps),
  ...tokenRoutes(deps),
  ...peopleRoutes(deps),
  ...channelRoutes(deps),
  ...reviewRoutes(deps),
  ...pollingRoutes(deps),
]
