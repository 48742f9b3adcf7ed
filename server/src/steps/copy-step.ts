import { type KeysRepaired, lockKeys } from '../comparing/repair-keys.ts'
import type { CopyDeps, CopyWay } from '../copying/backfill.ts'
import type { ChunkCopied, OpenRange } from '../copying/copy-chunk.ts'
import { type Key, keyText, rangeParams, within } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { StepFailed } from '../target/execution-error.ts'
import { type Connection, inTransaction } from '../target/target.ts'
import { READ_COMMITTED } from '../two-targets/both.ts'
import { readOld } from '../two-targets/copy-far.ts'
import type { CalledStep } from './called-step.ts'
import { describeStepMapping } from './step-mapping.ts'
import { differencesUnder, rowsUnder, stepRows } from './step-rows.ts'

/**
 * Copies one range: its rows are locked in old while the step writes them, and the checkpoint commits when it
 * has. A writer in between waits, and writes new after the step. A crash before the commit has the step write
 * the same rows once more.
 */
async function copyRange(
  step: CalledStep,
  on: Connection,
  mapping: Mapping,
  range: OpenRange,
): Promise<ChunkCopied | undefined> {
  const { numbers, values } = rangeParams(range)
  return inTransaction(on, READ_COMMITTED, async () => {
    const claimed = await on.query(
      'select from switchback.checkpoints where id = $1 and not done and up_to_key = $2 for update skip locked',
      [range.id, range.upTo],
    )
    if (claimed.rows.length === 0) return undefined
    const texts = await readOld(on, mapping, within(range.side, numbers), values, range.side)
    const rows = stepRows(mapping, texts)
    const { failed = [] } = rows.length === 0 ? {} : await step.write(rows)
    if (failed.length > 0) {
      await on.query(
        `insert into switchback.failed_rows (migration, key, sqlstate, error)
         select $1, key, 'step-failed', left(error, 1000) from unnest($2::text[], $3::text[]) failed(key, error)
         on conflict (migration, key) do update set error = excluded.error, failed_at = clock_timestamp()`,
        [mapping.migration, failed.map(({ key }) => keyText(key)), failed.map(({ error }) => error)],
      )
    }
    const copied = { rows: rows.length, changed: rows.length - failed.length }
    await on.query(
      `update switchback.checkpoints set done = true, rows = $2, changed = $3,
         ms = extract(epoch from clock_timestamp() - transaction_timestamp()) * 1000 where id = $1`,
      [range.id, range.again ? 0 : copied.rows, copied.changed],
    )
    return copied
  })
}

/** Looks at keys again under their locks, and has the step write or remove what still differs from old. */
export async function settleByStep(
  on: Connection,
  mapping: Mapping,
  step: CalledStep,
  keys: readonly Key[],
): Promise<KeysRepaired> {
  const standing = await differencesUnder(on, mapping, step, keys)
  if (standing.length === 0) return { standing, left: [] }
  const rows = await rowsUnder(
    on,
    mapping,
    standing.filter(({ kind }) => kind !== 'extra').map(({ key }) => key),
  )
  const { failed = [] } = rows.length === 0 ? {} : await step.write(rows)
  const [first] = failed
  if (first !== undefined) throw new StepFailed(first.error, false)
  await step.remove(standing.filter(({ kind }) => kind === 'extra').map(({ key }) => key))
  return {
    standing,
    left: await differencesUnder(
      on,
      mapping,
      step,
      standing.map(({ key }) => key),
    ),
  }
}

export const repairByStep = (
  on: Connection,
  mapping: Mapping,
  step: CalledStep,
  keys: readonly Key[],
): Promise<KeysRepaired> =>
  inTransaction(on, READ_COMMITTED, async () => {
    await lockKeys(on, { mapping }, keys)
    return settleByStep(on, mapping, step, keys)
  })

/**
 * History goes through the step. Nothing is swept: what only new has is found by verification, which removes it
 * under the locks of its keys.
 */
export const stepWay = ({ target }: Pick<CopyDeps, 'target'>, step: CalledStep): CopyWay => ({
  source: target,
  target,
  describe: (definition) => describeStepMapping(target, definition),
  copyRange: (on, mapping, range) => copyRange(step, on, mapping, range),
  repair: async (on, mapping, keys) => {
    const { left } = await repairByStep(on, mapping, step, keys)
    if (left.length > 0) throw new StepFailed('new differs again right after the step has written it', false)
  },
  finish: async () => 0,
})
