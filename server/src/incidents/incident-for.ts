import { authorizeScope } from '../http/authenticate.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Scoped } from '../tokens/tokens.ts'
import type { IncidentDetail, Incidents } from './incidents.ts'

export const unknownIncident = (id: string): HttpProblem =>
  new HttpProblem('unknown-incident', `There is no incident "${id}".`, {
    action: 'List them with GET /v1/incidents.',
  })

/** The incident that a request names; refused where it is of a migration that the token is not for. */
export async function incidentFor(
  incidents: Pick<Incidents, 'get'>,
  id: string,
  principal: Scoped,
): Promise<IncidentDetail> {
  const incident = await incidents.get(id)
  if (incident === undefined) throw unknownIncident(id)
  authorizeScope(principal, incident.migration)
  return incident
}
