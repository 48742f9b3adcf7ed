import type { MigrationDefinition, Path } from '@switchback/migrations-registry'
import { reasonOf } from '../comparing/reconcile.ts'
import { lockKeys } from '../comparing/repair-keys.ts'
import { noteFailure } from '../comparing/repairs.ts'
import { KEY_SEPARATOR } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { reverseMapping } from '../mapping/reverse-mapping.ts'
import { isTransient, messageOf } from '../target/execution-error.ts'
import { type Connection, inTransaction, type Target } from '../target/target.ts'
import { READ_COMMITTED } from '../two-targets/both.ts'
import type { CalledStep } from './called-step.ts'
import { settleBack } from './compare-back.ts'
import { settleByStep } from './copy-step.ts'
import { describeStepMapping } from './step-mapping.ts'

interface Entry extends Record<string, unknown> {
  readonly key: string
  readonly path: Path
}

async function repairOne(
  on: Connection,
  mapping: Mapping,
  step: CalledStep,
  { key, path }: Entry,
): Promise<boolean> {
  const parts = mapping.keyColumns.length === 1 ? [key] : key.split(KEY_SEPARATOR)
  return inTransaction(on, READ_COMMITTED, async () => {
    await lockKeys(on, { mapping }, [parts])
    // Another worker may have done it.
    const queued = await on.query(
      'select from switchback.repairs where migration = $1 and key = $2 and path = $3 for update skip locked',
      [mapping.migration, key, path],
    )
    if (queued.rowCount === 0) return false
    const reverse = path === 'old' ? await reverseMapping(mapping) : undefined
    const { left } =
      reverse === undefined
        ? await settleByStep(on, mapping, step, [parts])
        : await settleBack(on, { mapping, reverse }, step, [parts])
    const [stuck] = left
    if (stuck !== undefined) throw new Error(reasonOf({ mapping, reverse }, stuck.kind))
    await on.query('delete from switchback.repairs where migration = $1 and key = $2 and path = $3', [
      mapping.migration,
      key,
      path,
    ])
    return true
  })
}

/** Has the step write, or old take back, keys that wait for repair. Returns how many are done. */
export async function repairSomeByStep(
  target: Target,
  definition: MigrationDefinition,
  load: () => Promise<CalledStep>,
  limit: number,
): Promise<number> {
  const { rows } = await target.query<Entry>(
    `select key, path from switchback.repairs where migration = $1
     order by attempts, queued_at, key limit $2`,
    [definition.id, limit],
  )
  if (rows.length === 0) return 0
  const step = await load()
  const mapping = await describeStepMapping(target, definition)
  let done = 0
  for (const entry of rows) {
    try {
      if (await target.connection((on) => repairOne(on, mapping, step, entry))) done += 1
    } catch (error) {
      // Somebody holds the key, or a connection is gone: the next round meets the entry as it was.
      if (isTransient(error)) continue
      await noteFailure(target, definition.id, entry, messageOf(error))
    }
  }
  return done
}
