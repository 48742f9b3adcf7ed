import type { Judgement, MigrationDefinition } from '@switchback/migrations-registry'
import { formatDuration, guardedPaths, isRestingOnOld } from '@switchback/migrations-registry'
import type { Execution } from '../execution/execution-port.ts'
import type { StoredMigration } from '../phases/phase-service.ts'
import type { Inspection } from '../target/inspection.ts'
import { runCheck } from './run-check.ts'
import type { Finding, UnverifiedRevert, Verification } from './verification-store.ts'

export interface VerifyDeps {
  readonly clock: () => number
  readonly find: (migration: string) => Promise<StoredMigration | undefined>
  readonly inspectionFor: (definition: MigrationDefinition) => Inspection
  readonly executionFor: (definition: MigrationDefinition) => Pick<Execution, 'repairs'>
  /** Whether the path that serves is under the limits of the tripwires; see `judgeRecovery`. */
  readonly recovery: (migration: StoredMigration) => Promise<Judgement | undefined>
  /** Live instances that use a migration. */
  readonly live: (migration: string) => Promise<number>
  readonly commands: boolean
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>
  /** Holds the revert for longer, and tells of it as it is now; undefined where another has verified it. */
  readonly keep: (id: string) => Promise<UnverifiedRevert | undefined>
}

const LOOK_MS = 1000
/** How long acks are waited for before looking all the same. */
const ACKS_MS = 30_000
const SETTLE_MS = 60_000
const SAMPLE = 1000
/** What failed is tried again this often, until the time to settle is over. */
const AGAIN_MS = 5000

const RANK: readonly Finding['outcome'][] = ['failed', 'inconclusive', 'verified']

/** Looks whether a revert has helped: checks, integrity of old, error rates. Undefined where it was called off. */
export async function verifyRevert(
  deps: VerifyDeps,
  revert: UnverifiedRevert,
  signal: AbortSignal,
): Promise<Verification | undefined> {
  const { clock } = deps
  let held: UnverifiedRevert | undefined = revert
  const deadline = revert.committedAt + ACKS_MS
  while (held.lastAckAt === undefined && clock() < deadline && (await deps.live(revert.migration)) > 0) {
    await deps.delay(LOOK_MS / 4, signal)
    held = signal.aborted ? undefined : await deps.keep(revert.id)
    if (held === undefined) return undefined
  }
  const began = clock()
  const findings = new Map<string, Finding>()
  let quietSince: number | undefined
  let triedAt = Number.NEGATIVE_INFINITY
  for (;;) {
    if (signal.aborted || (await deps.keep(revert.id)) === undefined) return undefined
    const migration = await deps.find(revert.migration)
    if (migration?.state.latch?.incident !== revert.id) return movedOn(findings, clock())
    const { definition } = migration
    const settle = definition.afterRevert?.settle ?? SETTLE_MS
    if (clock() - triedAt >= Math.min(AGAIN_MS, settle / 2)) {
      triedAt = clock()
      await lookAgain(deps, revert, migration, findings, signal)
    }
    const judged = await deps.recovery(migration)
    const now = clock()
    if (judged?.outcome === 'breach') quietSince = undefined
    else if (judged === undefined || judged.outcome === 'fine') quietSince ??= now
    findings.set('error rates', errorRates(judged, quietSince, now, settle))
    const left = [...findings.values()].filter(({ outcome }) => outcome !== 'verified')
    if (left.length === 0 || now - began >= 2 * settle) return concluded(findings, now)
    await deps.delay(Math.min(LOOK_MS, settle / 4), signal)
  }
}

/** Checks and integrity that do not hold yet. */
async function lookAgain(
  deps: VerifyDeps,
  revert: UnverifiedRevert,
  migration: StoredMigration,
  findings: Map<string, Finding>,
  signal: AbortSignal,
): Promise<void> {
  const { definition, state } = migration
  const inspection = deps.inspectionFor(definition)
  const environment = { SWITCHBACK_MIGRATION: definition.id, SWITCHBACK_INCIDENT: revert.id }
  const looks: [string, () => Promise<Finding>][] = definition.checks.map((check, i) => [
    `check ${i}`,
    () => runCheck(check, { inspection, commands: deps.commands, environment, signal }),
  ])
  looks.push(['repairs', () => noRepairs(deps, migration)])
  if (isRestingOnOld(state)) looks.push(['sample', () => sampleAgrees(definition, inspection)])
  for (const [key, look] of looks) {
    if (findings.get(key)?.outcome === 'verified' || signal.aborted) continue
    findings.set(key, await look())
  }
}

/** Keys of old that wait for repair are in new alone: old does not hold every acknowledged write until then. */
async function noRepairs(
  { executionFor }: VerifyDeps,
  { definition, state }: StoredMigration,
): Promise<Finding> {
  const name = 'keys of old that wait for repair'
  if (definition.copy === undefined) return { name, outcome: 'verified', message: 'There is one path only.' }
  try {
    const { old } = await executionFor(definition).repairs(definition.id)
    if (old === 0) return { name, outcome: 'verified', message: 'None.' }
    const asked = guardedPaths(state).includes('old') ? ' Reads of them are served from new meanwhile.' : ''
    return { name, outcome: 'failed', message: `${old} wait.${asked}` }
  } catch (error) {
    return { name, outcome: 'inconclusive', message: cannot(error) }
  }
}

async function sampleAgrees(definition: MigrationDefinition, inspection: Inspection): Promise<Finding> {
  const name = 'old compared with new'
  const rows = definition.afterRevert?.sample ?? SAMPLE
  if (rows === 0) return { name, outcome: 'verified', message: 'Not asked for.' }
  try {
    const sample = await inspection.compareSample(definition, rows)
    if (sample === undefined) {
      return { name, outcome: 'verified', message: 'Not compared: new is written by a step.' }
    }
    const { compared, differing } = sample
    if (differing.length === 0) return { name, outcome: 'verified', message: `${compared} rows agree.` }
    const shown = differing.slice(0, 5).join(', ')
    return { name, outcome: 'failed', message: `${differing.length} of ${compared} rows differ: ${shown}` }
  } catch (error) {
    return { name, outcome: 'inconclusive', message: cannot(error) }
  }
}

function errorRates(
  judged: Judgement | undefined,
  quietSince: number | undefined,
  now: number,
  settle: number,
): Finding {
  const name = 'error rates'
  if (quietSince !== undefined && now - quietSince >= settle) {
    const message =
      judged === undefined
        ? 'Nothing to go by: no instance uses it, or no tripwire watches errors.'
        : `Under the limit for ${formatDuration(settle)}: ${judged.explanation}`
    return { name, outcome: 'verified', message }
  }
  if (judged?.outcome === 'breach') return { name, outcome: 'failed', message: judged.explanation }
  const message = `Not long enough under the limit to tell: ${judged?.explanation ?? 'nothing was measured.'}`
  return { name, outcome: 'inconclusive', message }
}

function concluded(findings: ReadonlyMap<string, Finding>, at: number): Verification {
  const all = [...findings.values()]
  const outcome = RANK.find((each) => all.some((finding) => finding.outcome === each)) ?? 'verified'
  return { outcome, at, findings: all }
}

function movedOn(findings: ReadonlyMap<string, Finding>, at: number): Verification {
  const message = 'The migration was re-armed or reverted again before this could be told.'
  const moved: Finding = { name: 'time to settle', outcome: 'inconclusive', message }
  return concluded(new Map([...findings, ['moved', moved]]), at)
}

const cannot = (error: unknown): string =>
  `Cannot be told: ${error instanceof Error ? error.message : String(error)}`.slice(0, 500)
