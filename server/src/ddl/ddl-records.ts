import type { Sql } from '../target/target.ts'

export type SqlFile = 'expand' | 'rollback' | 'contract' | 'restore'

/** Position of the record that says: the whole file was applied, in this epoch. */
const WHOLE = -1

export interface AppliedStatements {
  /** Checksum by position. */
  readonly statements: ReadonlyMap<number, string>
  /** Epoch in which the whole file was applied. */
  readonly completedIn: number | undefined
}

export async function appliedStatements(
  on: Sql,
  migration: string,
  file: SqlFile,
): Promise<AppliedStatements> {
  const { rows } = await on.query<{ position: number; checksum: string; epoch: number }>(
    'select position, checksum, epoch from switchback.statements where migration = $1 and file = $2',
    [migration, file],
  )
  return {
    statements: new Map(
      rows.filter((row) => row.position !== WHOLE).map((row) => [row.position, row.checksum]),
    ),
    completedIn: rows.find((row) => row.position === WHOLE)?.epoch,
  }
}

export async function recordStatement(
  on: Sql,
  of: { migration: string; file: SqlFile; epoch: number },
  position: number,
  checksum: string,
): Promise<void> {
  await on.query(
    `insert into switchback.statements (migration, file, position, checksum, epoch)
     values ($1, $2, $3, $4, $5) on conflict do nothing`,
    [of.migration, of.file, position, checksum, of.epoch],
  )
}

/** Marks `of.file` as applied as a whole and forgets what it undoes, so that this can be done anew. */
export async function recordWhole(
  on: Sql,
  of: { migration: string; file: SqlFile; epoch: number },
  undone: SqlFile,
): Promise<void> {
  // One statement, so that a crash leaves neither half.
  await on.query(
    `with gone as (
       delete from switchback.statements
       where migration = $1 and (file = $5 or (file = $2 and position <> $3))
     )
     insert into switchback.statements (migration, file, position, checksum, epoch)
     values ($1, $2, $3, '', $4)
     on conflict (migration, file, position) do update set epoch = excluded.epoch`,
    [of.migration, of.file, WHOLE, of.epoch, undone],
  )
}

export async function forgetFile(on: Sql, migration: string, file: SqlFile): Promise<void> {
  await on.query('delete from switchback.statements where migration = $1 and file = $2', [migration, file])
}
