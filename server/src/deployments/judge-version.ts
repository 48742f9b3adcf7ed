import type {
  DeploymentFinding,
  DeploymentVerdict,
  HandlerManifest,
  MigrationDeployment,
} from '@switchback/migrations-registry'
import { judgeDeployment, unknownVersion, worst } from '@switchback/migrations-registry'
import type { KnownVersions } from '../fleet/version-store.ts'
import type { PhaseService, StoredMigration } from '../phases/phase-service.ts'

export interface AskedVersion {
  readonly app: string
  readonly version: string
  /** What it can do, where whoever asks says so. */
  readonly migrations?: HandlerManifest['migrations']
}

export interface VersionDeps {
  readonly phases: Pick<PhaseService, 'list' | 'gate'>
  /** What instances have told of this version, and of others of the same application. */
  readonly known: (app: string, version: string) => Promise<KnownVersions>
  /** Whether whoever asks may hear of this migration. */
  readonly mayHear: (migration: string) => boolean
}

export interface JudgedVersion {
  readonly app: string
  readonly version: string
  readonly verdict: DeploymentVerdict
  /** Where what is known of its handlers comes from. */
  readonly handlersFrom: 'request' | 'registration' | 'nowhere'
  /** When an instance of it last registered, or tried to. */
  readonly lastSeen?: number
  /** Those that the version, its application or another version of it has to do with. */
  readonly migrations: readonly (MigrationDeployment & {
    readonly id: string
    readonly handlers?: readonly string[]
  })[]
  /** What concerns the version as a whole. */
  readonly findings: readonly DeploymentFinding[]
}

/** Judges a version against every migration that it has to do with. */
export async function judgeVersion(deps: VersionDeps, asked: AskedVersion): Promise<JudgedVersion> {
  const { app, version } = asked
  const [known, all] = await Promise.all([deps.known(app, version), deps.phases.list()])
  const handlers = asked.migrations ?? known.version?.migrations
  const concerns = ({ definition: { id, apps } }: StoredMigration): boolean =>
    deps.mayHear(id) && (apps.includes(app) || known.declared.has(id) || handlers?.[id] !== undefined)

  const migrations: JudgedVersion['migrations'][number][] = []
  for (const migration of all.filter(concerns)) {
    const { definition, state } = migration
    const { id } = definition
    const declared = handlers?.[id]
    const candidate = { app, version, known: handlers !== undefined, declared }
    const judge = (open: boolean) => judgeDeployment(definition, state, candidate, open)
    let judged = judge(false)
    // The target is asked only where it matters whether the step could be taken now.
    if (judged.findings.some(({ code }) => code === 'holds-up-next-step') && definition.autopilot) {
      judged = judge((await deps.phases.gate(id))?.open === true)
    }
    migrations.push({ ...judged, id, ...(declared === undefined ? {} : { handlers: declared.handlers }) })
  }
  const findings = handlers === undefined && all.length > 0 ? [unknownVersion(asked)] : []
  return {
    app,
    version,
    verdict: worst([...findings, ...migrations]),
    handlersFrom:
      asked.migrations !== undefined ? 'request' : known.version === undefined ? 'nowhere' : 'registration',
    ...(known.version === undefined ? {} : { lastSeen: known.version.lastSeen }),
    migrations,
    findings,
  }
}
