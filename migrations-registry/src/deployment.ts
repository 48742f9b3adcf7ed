import type { MigrationDefinition } from './definition.ts'
import { missingAtGate, missingAtRegistration, neededPaths, refusedText } from './handlers.ts'
import type { Path, Phase } from './phases.ts'
import { PHASE_TABLE } from './phases.ts'
import type { MigrationState } from './state.ts'
import { currentRouting } from './state.ts'
import type { NextStep } from './steps.ts'
import { nextStep, routingAfter } from './steps.ts'

export const DEPLOYMENT_VERDICTS = ['yes', 'no', 'unknown'] as const
export type DeploymentVerdict = (typeof DEPLOYMENT_VERDICTS)[number]

export const DEPLOYMENT_FINDINGS = [
  'refused-now',
  'excluded-by-revert',
  'excluded-by-next-step',
  'holds-up-next-step',
  'not-declared',
  'version-unknown',
  'not-fenced',
] as const
export type DeploymentFindingCode = (typeof DEPLOYMENT_FINDINGS)[number]

/** A version of an application that somebody wants to deploy, as one migration sees it. */
export interface DeploymentCandidate {
  readonly app: string
  readonly version: string
  /** Whether anything is known of the version: it was described, or instances of it have registered. */
  readonly known: boolean
  /** What it has for this migration; undefined where it does not declare it, or nothing is known. */
  readonly declared: { readonly handlers: readonly Path[]; readonly fenced: boolean } | undefined
}

export interface DeploymentFinding {
  readonly code: DeploymentFindingCode
  /** What it makes of the verdict; undefined where it is only to be known. */
  readonly verdict?: Exclude<DeploymentVerdict, 'yes'>
  readonly message: string
  readonly action: string
}

/** What would be lacking after a step. */
interface After {
  readonly needs: readonly Path[]
  readonly missing: readonly Path[]
}

export interface MigrationDeployment extends After {
  readonly verdict: DeploymentVerdict
  readonly phase: Phase
  readonly epoch: number
  /** After the next step forward, if there is one. */
  readonly next?: After & { readonly step: NextStep }
  /** After the reverts that are possible from here, nearest first. */
  readonly back: readonly (After & { readonly to: Phase })[]
  readonly findings: readonly DeploymentFinding[]
}

const KEEP = 'Keep the handlers for both paths until the migration is contracted.'

/**
 * Whether a version may be deployed while a migration stands where it stands. The rules are those by which
 * registration refuses an instance and the gate waits for it; here they are asked beforehand.
 *
 * @param gateOpen whether the next step could be taken at this moment
 */
export function judgeDeployment(
  definition: MigrationDefinition,
  state: MigrationState,
  candidate: DeploymentCandidate,
  gateOpen: boolean,
): MigrationDeployment {
  const { app, declared } = candidate
  const holder = { app, handlers: declared?.handlers }
  const step = nextStep(definition, state)
  const after = routingAfter(definition, state, step)
  const next =
    step.kind === 'none'
      ? undefined
      : { step, needs: neededPaths(definition, after), missing: missingAtGate(definition, after, holder) }
  const back = phasesBehind(state).map((to) => {
    // Old is compared again once the way back from `retired` has ended: the most that the phase can need.
    const complete = { ...state.complete, old: true }
    const later: MigrationState = { ...state, phase: to, complete, overrides: {} }
    const needs = neededPaths(definition, currentRouting(definition.id, later))
    return { to, needs, missing: missingAtRegistration(definition, later, holder) }
  })
  const needs = neededPaths(definition, currentRouting(definition.id, state))
  const missing = missingAtRegistration(definition, state, holder)
  const judged = { needs, missing, back, ...(next === undefined ? {} : { next }) }
  const findings = candidate.known
    ? findingsOf(definition, state, candidate, judged, gateOpen)
    : [unknownVersion(candidate)]
  return { ...judged, phase: state.phase, epoch: state.epoch, findings, verdict: worst(findings) }
}

/** Phases that reverts may lead to from here; the restore of a schema is another matter. */
function phasesBehind(state: MigrationState): readonly Phase[] {
  const phases: Phase[] = []
  let { revertsTo, revertBy } = PHASE_TABLE[state.phase]
  if (state.work?.committing === true) return phases
  while (revertsTo !== undefined && revertBy !== 'restore' && revertBy !== 'rollback') {
    phases.push(revertsTo)
    ;({ revertsTo, revertBy } = PHASE_TABLE[revertsTo])
  }
  return phases
}

/** No outweighs unknown, which outweighs yes. */
export function worst(findings: readonly { readonly verdict?: DeploymentVerdict }[]): DeploymentVerdict {
  const verdicts = findings.map(({ verdict }) => verdict)
  if (verdicts.includes('no')) return 'no'
  return verdicts.includes('unknown') ? 'unknown' : 'yes'
}

export const unknownVersion = ({
  app,
  version,
}: Pick<DeploymentCandidate, 'app' | 'version'>): DeploymentFinding => ({
  code: 'version-unknown',
  verdict: 'unknown',
  message: `Nothing is known of the handlers of ${app} ${version}: it was not described, and no instance of it has registered.`,
  action: 'Give its manifest: --handlers FILE, or "migrations" in the request.',
})

type Judged = Pick<MigrationDeployment, 'needs' | 'missing' | 'back' | 'next'>

function findingsOf(
  definition: MigrationDefinition,
  state: MigrationState,
  candidate: DeploymentCandidate,
  { needs, missing, back, next }: Judged,
  gateOpen: boolean,
): readonly DeploymentFinding[] {
  const { id, fence, autopilot } = definition
  const { app, version, declared } = candidate
  const named = `${app} ${version}`
  if (missing.length > 0) {
    return [
      {
        code: 'refused-now',
        verdict: 'no',
        message: refusedText(id, state.phase, missing, { app, version, handlers: declared?.handlers }),
        action: `Deploy a version that has them, or take ${id} to a phase that does not need them first.`,
      },
    ]
  }
  if (declared === undefined && !definition.apps.includes(app)) return undeclared(id, named, needs, next)
  const findings: DeploymentFinding[] = []
  const excluding = back.find((one) => one.missing.length > 0)
  if (excluding !== undefined) {
    findings.push({
      code: 'excluded-by-revert',
      verdict: 'no',
      message: `A revert of ${id} to ${excluding.to} needs handlers for ${excluding.missing.join(' and ')}, which ${named} has not: it would fail there.`,
      action: KEEP,
    })
  }
  if (next !== undefined && next.missing.length > 0) {
    const lacks = `${named} has no handlers for ${next.missing.join(' and ')}, which ${stepText(next.step)} of ${id} needs`
    const soon = autopilot && gateOpen
    findings.push({
      code: soon ? 'excluded-by-next-step' : 'holds-up-next-step',
      ...(soon ? { verdict: 'no' } : {}),
      message: soon
        ? `${lacks}; the gate is open and autopilot takes the step, perhaps before an instance has started.`
        : `${lacks}: while an instance of it runs, the gate stays closed.`,
      action: soon
        ? `Deploy a version that has them, or hold ${id} meanwhile: switchback pause ${id}`
        : 'Deploy a version that has them before the next step.',
    })
  }
  if (declared !== undefined && fence && !declared.fenced) {
    findings.push({
      code: 'not-fenced',
      message: `Writes of ${named} do not pass the fence of ${id}: an instance that is not heard of any more holds up every step until somebody forgets it.`,
      action: 'Give the migration a transaction (pgTransaction, or independent) in the SDK.',
    })
  }
  return findings
}

/** Registration lets such a version in, and nobody waits for it: whether it writes what it should, nobody knows. */
function undeclared(
  id: string,
  named: string,
  needs: readonly Path[],
  next: Judged['next'],
): readonly DeploymentFinding[] {
  const beyondOld = (paths: readonly Path[]): boolean => paths.some((path) => path !== 'old')
  const now = beyondOld(needs)
  if (!now && !beyondOld(next?.needs ?? [])) return []
  return [
    {
      code: 'not-declared',
      ...(now ? { verdict: 'unknown' } : {}),
      message: `${named} does not declare ${id}, which other versions of it do; ${now ? 'the present phase' : 'the next step'} needs more than old. Nothing refuses or waits for such a version, and what it writes may reach old alone.`,
      action: `Give its manifest if it has handlers (a version that uses new without a router has "handlers": ["new"]); name the application under apps in the definition, so that the gate waits for it.`,
    },
  ]
}

function stepText(step: NextStep): string {
  if (step.kind === 'rollout') return 'the next step of the rollout'
  return step.kind === 'none' ? 'nothing' : `the step to ${step.to}`
}
