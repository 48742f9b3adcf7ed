import { WorkStopped } from '../target/execution-error.ts'
import { inTransaction, type Sql, type Target } from '../target/target.ts'

/**
 * Ranges are handed out and copied without waiting for the disk. What a crash of the target takes back are the
 * last of its commits, each whole, and nothing that came later outlives them: rows and checkpoint of a range
 * vanish together, and the range is found as one that is not done, or handed out again. It costs a copy of it.
 */
export const COMMIT_WITHOUT_WAITING = 'set synchronous_commit = off'
/** The same as a condition, which holds, within the statement that is not to wait. */
export const WITHOUT_WAITING = `(select set_config('synchronous_commit', 'off', true)) is not null`

/** The same the other way round, where a database or role has it off. */
export const waitForDisk = (on: Sql): Promise<unknown> =>
  on.query(
    `select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'`,
  )

/**
 * Writes down when the last range was done, and waits until that is on disk: everything that was committed before
 * it is on disk by then too. Only after that may anybody rely on the copy. The number of the part that has ended;
 * undefined where ranges of it are not done, or not even handed out: the target has crashed since.
 */
export const settleCopy = (target: Target, migration: string, epoch: number): Promise<number | undefined> =>
  target.connection((connection) =>
    inTransaction(connection, 'begin', async () => {
      await waitForDisk(connection)
      const { rows } = await connection.query<{ part: number; ended: boolean }>(
        `update switchback.copies set ended_at = clock_timestamp() where migration = $1 and epoch = $2
         returning part, frontier is not distinct from upper_key
           and not exists (select from switchback.checkpoints where migration = $1 and not done) as ended`,
        [migration, epoch],
      )
      const [row] = rows
      if (row === undefined) throw new WorkStopped('another copy has begun')
      return row.ended ? row.part : undefined
    }),
  )
