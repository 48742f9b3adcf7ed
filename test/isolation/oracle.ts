import { SwitchbackError } from '@switchback/sdk'
import { isPlanted } from './client.ts'
import { type Difference, type History, type Rows, rowsAfter } from './history.ts'
import type { Laboratory } from './laboratory.ts'
import { definition, MIGRATION } from './migration.ts'
import { freeClient, orderOf, type Scenario } from './round.ts'
import { createStepper } from './stepper.ts'

const text = ({ key, old, new: fresh, queued }: Difference): string =>
  `key ${key}: old ${old ?? 'none'}, new ${fresh ?? 'none'}${queued === null ? '' : `, ${queued} queued`}`

/** What is wrong with how a round has ended; nothing is repaired before. */
export async function faultsOf(
  laboratory: Laboratory,
  scenario: Scenario,
  history: History,
): Promise<readonly string[]> {
  const differences = await laboratory.differences()
  const rows = await laboratory.rows()
  return [
    ...(scenario.equalAtOnce
      ? differences.filter(({ queued }) => queued === null).map((each) => `apart, ${text(each)}`)
      : []),
    ...differences
      .filter(({ queued }) => queued === 'both')
      .map((each) => `each path is behind in what the other one has, ${text(each)}`),
    ...lost(scenario, history, differences, rows),
    ...lateCommits(history),
    ...staleReads(scenario, history),
    ...refusals(history),
    ...(history.deadlocks > 0 && scenario.mayDeadlock === undefined ? ['an application met a deadlock'] : []),
  ]
}

/** I2: an acknowledged write is in the leader, or its key is queued for repair of the leader. */
function lost(
  { initial, leader }: Scenario,
  { commits }: History,
  differences: readonly Difference[],
  rows: { readonly old: Rows; readonly new: Rows },
): readonly string[] {
  const expected = rowsAfter(initial[leader], commits)
  const keys = new Set([...expected.keys(), ...Object.keys(rows[leader]).map(Number)])
  const other = leader === 'old' ? 'new' : 'old'
  return [...keys].flatMap((key) => {
    const wanted = expected.get(key)
    const behind = differences.some((each) => each.key === key && each.queued === leader)
    const found = rows[behind ? other : leader][key]
    return found === wanted
      ? []
      : [`lost, key ${key}: ${wanted ?? 'none'} was acknowledged, there is ${found ?? 'none'}`]
  })
}

/** A stale epoch never commits after the fence was passed. */
const lateCommits = ({ commits, passed }: History): readonly string[] =>
  commits.flatMap(({ actor, epoch, at }) =>
    passed
      .filter((fence) => epoch !== undefined && at > fence.at && epoch < fence.epoch)
      .map((fence) => `${actor} committed under epoch ${epoch} after ${fence.epoch} was passed`),
  )

/** A read gives what was acknowledged at some moment between its beginning and its end. */
const staleReads = ({ initial, leader }: Scenario, { commits, reads }: History): readonly string[] =>
  reads.flatMap(({ key, value, from, to }) => {
    const before = commits.filter(({ at }) => at <= from).length
    const until = commits.filter(({ at }) => at <= to).length
    for (let count = before; count <= until; count++) {
      const rows = rowsAfter(initial[leader], commits.slice(0, count))
      if ((rows.get(key) ?? null) === value) return []
    }
    return [`a read of ${key} from ${from} to ${to} gave ${value ?? 'none'}`]
  })

/** The caller hears of planted failures of the leader, and of what says of itself that it may be tried again. */
const refusals = ({ refused }: History): readonly string[] =>
  refused
    .filter(({ error }) => !(error instanceof SwitchbackError && error.retryable) && !isPlanted(error))
    .map(({ actor, error }) => `${actor} got ${String(error)}`)

/**
 * What is wrong with where the product gets from here: repairs are done, verification is clean, and old and
 * new are equal and stay so.
 */
export async function faultsAfterwards(
  laboratory: Laboratory,
  scenario: Scenario,
): Promise<readonly string[]> {
  const { execution } = laboratory
  const { epoch, write } = scenario.config
  const faults: string[] = []
  const apart = async (when: string): Promise<void> => {
    for (const each of await laboratory.differences()) faults.push(`${when}, ${text(each)}`)
  }
  const { old, new: fresh } = await execution.repairs(MIGRATION)
  if (old + fresh > 0) await execution.repairSome(definition, 100)
  const kind = write === 'dual-new' ? 'reverse-backfill' : 'verify'
  const { divergences, detail } = await execution.run(kind, orderOf(epoch))
  if (divergences > 0) faults.push(`${kind} found ${divergences} divergences`)
  if (scenario.equalAtOnce && detail.repaired !== 0)
    faults.push(`${kind} repaired ${String(detail.repaired)}`)
  await apart(`after ${kind}`)
  const stepper = createStepper({ waiting: laboratory.waiting, patienceMs: 20_000 })
  const client = freeClient(laboratory, stepper, scenario.config)
  await client.put(1, 'later')
  await client.remove(2)
  await client.change(3, 'changed later')
  await client.idle()
  await apart('after more writes')
  return faults
}
